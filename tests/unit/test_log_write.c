/* What nobody reads is kept for a while, then lost, in whole lines; nobody is waited for. */
#include "log_write.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { LINE = 1000, MUCH = 1024 * 1024 };

static int saved, reader;
static char got[4 * MUCH];

static void begin(const int ends[2])
{
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    reader = ends[0];
    assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    log_write_waits(false);
}

static void end(void)
{
    log_write_waits(true);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(reader);
}

/* Appends what there is to `got`; answers whether there was something. */
static bool read_all(size_t *len)
{
    size_t before = *len;
    ssize_t n;

    while ((n = read(reader, got + *len, sizeof got - *len)) > 0)
        *len += (size_t)n;
    return *len > before;
}

/* `number` and filling; some lines are longer than what a pipe takes at once. */
static size_t make_line(char *line, int number)
{
    size_t len = number % 10 == 0 ? 6 * LINE : LINE;

    memset(line, 'x', len);
    snprintf(line, 16, "%08d", number);
    line[8] = ' ';
    line[len - 1] = '\n';
    return len;
}

/* All that was taken, each line whole, and the rest from wherever there was no more room. */
static void check_lines(size_t len, const bool *is_taken, int lines)
{
    char line[6 * LINE];
    size_t at = 0;

    for (int i = 0; i < lines; i++) {
        size_t n = make_line(line, i);

        if (!is_taken[i])
            continue;
        assert_true(at + n <= len);
        assert_memory_equal(got + at, line, n);
        at += n;
    }
    assert_int_equal(at, len);
}

static void try_with(const int ends[2])
{
    static bool is_taken[MUCH / LINE];
    char line[6 * LINE];
    size_t len = 0;
    int n, taken = 0;

    begin(ends);
    for (n = 0; n < MUCH / LINE - 1; n++) {
        is_taken[n] = log_write(line, make_line(line, n));
        taken += is_taken[n];
    }
    assert_in_range(taken, 1, n - 1);
    while (read_all(&len))
        log_write_again();
    is_taken[n] = log_write(line, make_line(line, n));
    assert_true(is_taken[n]);
    read_all(&len);
    end();
    check_lines(len, is_taken, n + 1);
}

static void test_a_pipe(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    try_with(ends);
}

static void test_a_socket(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    try_with(ends);
}

static void test_a_full_disk(void **state)
{
    int ends[2] = {open("/dev/null", O_RDONLY), open("/dev/full", O_WRONLY)};

    (void)state;
    begin(ends);
    assert_false(log_write("a\n", 2));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pipe),
        cmocka_unit_test(test_a_socket),
        cmocka_unit_test(test_a_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
