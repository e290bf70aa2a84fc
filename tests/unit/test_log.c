/* The log: one line per event whatever the values hold, and no line a thousand times. */
#include "log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "capture.h"

static time_t now_s = 1000000000;

int clock_gettime(clockid_t clock, struct timespec *t); /* ours, instead of the C library's */

int clock_gettime(clockid_t clock, struct timespec *t)
{
    (void)clock;
    t->tv_sec = now_s;
    t->tv_nsec = 7 * 1000000;
    return 0;
}

static struct capture captured;

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_INFO);
    now_s += 1000;
    capture_begin(&captured, stderr);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_INFO); /* nothing is remembered in the next test */
    capture_free(&captured);
    return 0;
}

static void test_text(void **state)
{
    (void)state;
    now_s = 1000000000;
    log_event(LOG_INFO, "copy started", "sync", "app", "table", "public.a b", "left", (char *)NULL,
              "rows", log_int(-5), "empty", "", "eq", "a=b", NULL);
    assert_string_equal(capture_end(&captured),
                        "time=2001-09-09T01:46:40.007Z level=info event=\"copy started\" sync=app "
                        "table=\"public.a b\" rows=-5 empty=\"\" eq=\"a=b\"\n");
}

static void test_levels(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_WARNING);
    log_event(LOG_DEBUG, "a", NULL);
    log_event(LOG_NOTICE, "b", NULL);
    log_event(LOG_WARNING, "c", NULL);
    log_event(LOG_ERROR, "d", NULL);
    const char *text = capture_end(&captured);
    assert_null(strstr(text, "event=a"));
    assert_null(strstr(text, "event=b"));
    assert_non_null(strstr(text, "level=warning event=c\n"));
    assert_non_null(strstr(text, "level=error event=d\n"));
}

/* What could not be written is counted, and said where the gap is. */
static void test_a_gap(void **state)
{
    int full = open("/dev/full", O_WRONLY), before = dup(STDERR_FILENO);

    (void)state;
    now_s = 1000000000;
    dup2(full, STDERR_FILENO);
    log_event(LOG_INFO, "a", NULL);
    log_event(LOG_INFO, "b", NULL);
    dup2(before, STDERR_FILENO);
    close(full);
    close(before);
    log_event(LOG_INFO, "c", NULL);
    log_event(LOG_INFO, "d", NULL);
    assert_string_equal(
        capture_end(&captured),
        "time=2001-09-09T01:46:40.007Z level=warning event=\"lines of this log are missing: "
        "nobody took them\" lines=2\n"
        "time=2001-09-09T01:46:40.007Z level=info event=c\n"
        "time=2001-09-09T01:46:40.007Z level=info event=d\n");
}

/* Whatever bytes a value holds, a line is one line and, as JSON, can be read back. */
static void test_hostile_values(void **state)
{
    (void)state;
    static const struct {
        const char *value, *back;
    } cases[] = {
        {"a\nlevel=error event=fake", "a\nlevel=error event=fake"},
        {"\"quoted\" \\ back", "\"quoted\" \\ back"},
        {"\033[2J\a\x7f", "\033[2J\a\x7f"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x90", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x90"},
        {"\xc2\x9b"
         "31m",
         "\xc2\x9b"
         "31m"},
        {"bad\xff\xfe", "bad\xef\xbf\xbd\xef\xbf\xbd"},
        {"cut\xe2\x82", "cut\xef\xbf\xbd\xef\xbf\xbd"},
        {"long\xc0\xaf", "long\xef\xbf\xbd\xef\xbf\xbd"},
        {"half\xed\xa0\x80", "half\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"far\xf4\x90\x80\x80", "far\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"", ""},
    };
    capture_end(&captured);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
            log_setup((enum log_format)format, LOG_INFO);
            capture_begin(&captured, stderr);
            log_event(LOG_INFO, "e", "k", cases[i].value, NULL);
            const char *line = capture_end(&captured);
            assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
            for (const char *s = line; *s != '\n'; s++)
                assert_true((unsigned char)*s >= 0x20 && *s != 0x7f);
            assert_null(strstr(line, "\xc2\x9b"));
            if (format == LOG_TEXT)
                continue;
            json_t *j = json_loads(line, 0, NULL);
            assert_non_null(j);
            assert_string_equal(json_string_value(json_object_get(j, "k")), cases[i].back);
            json_decref(j);
        }
    }
}

static void test_error_parts(void **state)
{
    (void)state;
    struct error e;
    log_setup(LOG_JSON, LOG_INFO);
    error_clear(&e);
    error_set(&e, "what");
    error_detail(&e, "detail");
    error_place(&e, "place");
    strcpy(e.sqlstate, "40001");
    log_error(LOG_ERROR, "failed", &e, "sync", "app", NULL);
    json_t *j = json_loads(capture_end(&captured), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(j, "event")), "failed");
    assert_string_equal(json_string_value(json_object_get(j, "sync")), "app");
    assert_string_equal(json_string_value(json_object_get(j, "error")), "what");
    assert_string_equal(json_string_value(json_object_get(j, "detail")), "detail");
    assert_string_equal(json_string_value(json_object_get(j, "place")), "place");
    assert_string_equal(json_string_value(json_object_get(j, "sqlstate")), "40001");
    assert_null(json_object_get(j, "hint"));
    json_decref(j);
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, word)) != NULL; s += strlen(word))
        n++;
    return n;
}

/* A table that is copied twice within a minute is seen to be copied twice, and in the order in
 * which it happened. */
static void test_what_happens_again_is_said_again(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        log_event(LOG_WARNING, "paused", NULL);
        log_event(LOG_INFO, "copied", NULL);
        now_s += 1;
    }
    const char *text = capture_end(&captured);
    assert_int_equal(count(text, "event=paused\n"), 2);
    assert_int_equal(count(text, "event=copied\n"), 2);
    const char *copied = strstr(text, "copied");
    assert_non_null(strstr(copied, "paused"));
    assert_non_null(strstr(strstr(copied, "paused"), "copied"));
}

static void test_what_comes_again_and_again_is_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        log_event(LOG_INFO, "lost", "n", "1", NULL);
        log_event(LOG_INFO, "lost", "n", "2", NULL);
    }
    now_s += 59;
    log_event(LOG_INFO, "other", NULL);
    const char *text = capture_end(&captured);
    assert_int_equal(count(text, "event=lost"), 6);
    capture_begin(&captured, stderr);
    now_s += 1;
    log_event(LOG_INFO, "any", NULL);
    text = capture_end(&captured);
    assert_int_equal(count(text, "event=lost n=1 repeated=997\n"), 1);
    assert_int_equal(count(text, "event=lost n=2 repeated=997\n"), 1);
    assert_int_equal(count(text, "event=lost"), 2);
}

/* While it goes on, one line a minute, though nothing else is said; when it has ceased, it is as
 * new. */
static void test_counts_come_by_themselves(void **state)
{
    (void)state;
    for (int i = 0; i < 60 * 5; i++) {
        log_event(LOG_INFO, "lost", NULL);
        now_s += 1;
    }
    log_settle();
    const char *text = capture_end(&captured);
    assert_int_equal(count(text, "event=lost"), 3 + 5);
    assert_int_equal(count(text, "event=lost repeated=60\n"), 4);
    assert_non_null(strstr(text, "event=lost repeated=57\n"));
    capture_begin(&captured, stderr);
    now_s += 30;
    log_event(LOG_INFO, "lost", NULL);
    now_s += 30;
    log_settle();
    now_s += 60;
    log_settle();
    log_event(LOG_INFO, "lost", NULL);
    text = capture_end(&captured);
    assert_int_equal(count(text, "event=lost repeated=1\n"), 1);
    assert_int_equal(count(text, "event=lost\n"), 1);
}

static void test_counts_are_not_lost_at_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        log_event(LOG_INFO, "lost", NULL);
    log_forget();
    assert_int_equal(count(capture_end(&captured), "event=lost repeated=7\n"), 1);
}

/* More different lines than are remembered: nothing is lost, and counts come out. */
static void test_many_different_lines(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        log_event(LOG_INFO, "first", NULL);
    now_s += 1;
    for (int i = 0; i < 500; i++)
        log_event(LOG_INFO, "one of many", "n", log_int(i), NULL);
    const char *text = capture_end(&captured);
    assert_int_equal(count(text, "one of many"), 500);
    assert_int_equal(count(text, "event=first"), 4);
    assert_int_equal(count(text, "event=first repeated=2"), 1);
}

static void test_numbers(void **state)
{
    (void)state;
    capture_end(&captured);
    const char *a = log_int(INT64_MIN), *b = log_seconds(1.23456);
    for (int i = 0; i < 6; i++)
        log_int(i);
    assert_string_equal(a, "-9223372036854775808");
    assert_string_equal(b, "1.235");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_happens_again_is_said_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_comes_again_and_again_is_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_counts_come_by_themselves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counts_are_not_lost_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_different_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
