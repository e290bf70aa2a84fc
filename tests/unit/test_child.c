/* Child processes on the loop: output, exit status, deadline, environment, files, the end. */
#include "child.h"

#include <ev.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct ev_loop *loop;
static int ended;

static void on_ended(struct child *c)
{
    (void)c;
    ended++;
    ev_break(loop, EVBREAK_ALL);
}

static void on_too_late(struct ev_loop *l, struct ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(l, EVBREAK_ALL);
}

/* Runs the loop until the child has ended, or for `seconds`. */
static void wait_for_end(double seconds)
{
    struct ev_timer timer;

    ev_timer_init(&timer, on_too_late, seconds, 0.);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
    ev_timer_stop(loop, &timer);
}

static void start(struct child *c, const char *script, struct child_program more)
{
    const char *arguments[] = {"sh", "-c", script, NULL};
    struct error e;

    error_clear(&e);
    ended = 0;
    child_init(c, loop, on_ended, NULL);
    more.path = more.path ? more.path : "/bin/sh";
    more.arguments = arguments;
    more.output_max = more.output_max ? more.output_max : 1 << 20;
    assert_true(child_start(c, &more, &e));
    assert_true(child_is_running(c));
    assert_int_equal(ended, 0);
}

static const struct child_program plain = {.files = {-1, -1}, .output_file = -1};

static void run(struct child *c, const char *script, struct child_program more)
{
    start(c, script, more);
    wait_for_end(10);
    assert_int_equal(ended, 1);
    assert_false(child_is_running(c));
}

static void test_output_and_status(void **state)
{
    struct child c;
    struct error e;

    (void)state;
    run(&c, "echo out; echo err >&2; exit 3", plain);
    assert_string_equal(c.output.data, "out\n");
    assert_string_equal(c.errors.data, "err\n");
    assert_false(child_is_success(&c));
    error_clear(&e);
    child_error(&c, &e, "it %s", "failed");
    assert_string_equal(e.what, "it failed");
    assert_string_equal(e.detail, "Exit status 3: err\n");
    child_fini(&c);
    run(&c, "true", plain);
    assert_true(child_is_success(&c));
    child_fini(&c);
}

static void test_output_is_bounded(void **state)
{
    struct child_program p = plain;
    struct child c;

    (void)state;
    p.output_max = 1000;
    run(&c, "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; echo e >&2", p);
    assert_int_equal(c.output.len, 1000);
    assert_true(c.is_cut);
    assert_string_equal(c.errors.data, "e\n");
    assert_true(child_is_success(&c));
    child_fini(&c);
}

static void test_a_program_that_is_not_there(void **state)
{
    struct child_program p = plain;
    struct child c;

    (void)state;
    p.path = "/nowhere/at/all";
    run(&c, "true", p);
    assert_false(child_is_success(&c));
    assert_non_null(strstr(c.errors.data, "/nowhere/at/all: No such file"));
    child_fini(&c);
}

static void test_deadline(void **state)
{
    struct child_program p = plain;
    struct child c;
    struct error e;

    (void)state;
    p.timeout_s = 0.2;
    run(&c, "echo before >&2; sleep 30", p);
    assert_true(c.is_timed_out);
    assert_false(child_is_success(&c));
    error_clear(&e);
    child_error(&c, &e, "x");
    assert_non_null(strstr(e.detail, "did not end within"));
    child_fini(&c);
}

static void test_input(void **state)
{
    struct child_program p = plain;
    struct child c;

    (void)state;
    p.input = "{\"a\": \"b\\nc\"}";
    run(&c, "cat", p);
    assert_string_equal(c.output.data, p.input);
    child_fini(&c);
    p.input = "";
    run(&c, "cat | wc -c", p);
    assert_string_equal(c.output.data, "0\n");
    child_fini(&c);
    run(&c, "cat | wc -c", plain);
    assert_string_equal(c.output.data, "0\n");
    child_fini(&c);
    p.input = "never read";
    run(&c, "exit 0", p);
    assert_true(child_is_success(&c));
    child_fini(&c);
}

static void test_environment(void **state)
{
    static const char *const additions[] = {"GIVEN=two words", "CHANGED=new", "REMOVED", NULL};
    struct child_program p = plain;
    struct child c;

    (void)state;
    setenv("CHANGED", "old", 1);
    setenv("REMOVED", "old", 1);
    setenv("KEPT", "yes", 1);
    p.environment = additions;
    run(&c, "echo \"$GIVEN,$CHANGED,${REMOVED-gone},$KEPT\"; env | grep -c ^CHANGED=", p);
    assert_string_equal(c.output.data, "two words,new,gone,yes\n1\n");
    child_fini(&c);
}

static void test_files(void **state)
{
    struct child_program p = plain;
    struct child c;
    char bytes[32] = "";
    int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
    int not_given = memfd_create("not given", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(write(in, "hello", 5), 5);
    p.files[0] = in;
    p.files[1] = in;
    p.output_file = out;
    run(&c,
        "cat /proc/self/fd/3 /proc/self/fd/4 -; "
        "for f in /proc/$$/fd/*; do readlink $f; done | grep -c memfd: >&2",
        p);
    assert_int_equal(pread(out, bytes, sizeof bytes - 1, 0), 10);
    assert_string_equal(bytes, "hellohello");
    assert_int_equal(c.output.len, 0);
    /* standard output, 3 and 4, and nothing else of ours */
    assert_string_equal(c.errors.data, "3\n");
    child_fini(&c);
    close(in);
    close(out);
    close(not_given);
}

static void test_signals_are_as_at_first(void **state)
{
    struct child c;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    run(&c, "kill -PIPE $$; echo survived", plain);
    assert_int_equal(c.output.len, 0);
    assert_true(WIFSIGNALED(c.status));
    child_fini(&c);
}

static void test_stop_ends_the_whole_group(void **state)
{
    struct child c;
    pid_t group;

    (void)state;
    start(&c, "sleep 60 & sleep 60 & wait", plain);
    group = c.pid;
    wait_for_end(0.3);
    assert_int_equal(kill(-group, 0), 0);
    child_stop(&c);
    assert_false(child_is_running(&c));
    for (int i = 0; i < 50 && kill(-group, 0) == 0; i++)
        wait_for_end(0.1);
    assert_int_not_equal(kill(-group, 0), 0);
    assert_int_equal(ended, 0);
    child_fini(&c);
}

static void test_a_grandchild_does_not_keep_us_waiting(void **state)
{
    struct child c;

    (void)state;
    run(&c, "echo here; sleep 8 & exit 0", plain);
    assert_true(child_is_success(&c));
    assert_string_equal(c.output.data, "here\n");
    child_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_and_status),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_a_program_that_is_not_there),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_signals_are_as_at_first),
        cmocka_unit_test(test_stop_ends_the_whole_group),
        cmocka_unit_test(test_a_grandchild_does_not_keep_us_waiting),
    };

    loop = ev_default_loop(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
