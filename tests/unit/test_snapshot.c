/* The text form of a snapshot: what servers send is understood, anything else is refused. */
#include "snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void expect(const char *text, int64_t xmin, int64_t xmax, const char *running)
{
    struct arena *a = arena_new();
    struct snapshot s;
    assert_true(snapshot_parse(a, text, &s));
    assert_int_equal(s.xmin, xmin);
    assert_int_equal(s.xmax, xmax);
    assert_string_equal(s.running, running);
    arena_free(a);
}

static void test_what_servers_send(void **state)
{
    (void)state;
    expect("10:10:", 10, 10, "{}");
    expect("10:20:10", 10, 20, "{10}");
    expect("10:20:10,14,15", 10, 20, "{10,14,15}");
    /* Beyond four billion: epochs are a part of these numbers. */
    expect("4294967296:4294967300:4294967296,4294967299", 4294967296, 4294967300,
           "{4294967296,4294967299}");
    expect("9223372036854775806:9223372036854775807:", INT64_MAX - 1, INT64_MAX, "{}");
}

static void test_a_thousand_running(void **state)
{
    (void)state;
    char text[12000] = "1:5000:", want[12000] = "{";
    for (int i = 1; i <= 1000; i++) {
        snprintf(text + strlen(text), 16, "%s%d", i > 1 ? "," : "", i);
        snprintf(want + strlen(want), 16, "%s%d", i > 1 ? "," : "", i);
    }
    strcat(want, "}");
    expect(text, 1, 5000, want);
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "10",
                                        "10:",
                                        "10:20",
                                        "a:b:",
                                        "10:20:x",
                                        "10:20:1 or 1=1",
                                        "10:20:1}'); DROP TABLE t; --"};
    struct arena *a = arena_new();
    struct snapshot s;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (snapshot_parse(a, wrong[i], &s))
            fail_msg("\"%s\" was taken for a snapshot", wrong[i]);
    arena_free(a);
}

static void test_which_is_earlier(void **state)
{
    (void)state;
    assert_true(snapshot_may_be_before("10:12:", "10:13:10"));
    assert_false(snapshot_may_be_before("10:13:10", "10:12:"));
    assert_false(snapshot_may_be_before("12:12:", "12:12:"));
    assert_true(snapshot_may_be_before("10:12:10", "12:12:")); /* nobody knows */
    assert_true(snapshot_may_be_before("99:99:", "8589934593:8589934593:"));
    assert_false(snapshot_may_be_before("10:12:", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_servers_send),
        cmocka_unit_test(test_a_thousand_running),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_which_is_earlier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
