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

static bool shows_only(const char *earlier, const char *later, int64_t own)
{
    const int64_t ids[] = {7, own};
    return snapshot_shows_only(earlier, later, ids, 2);
}

static void test_what_a_later_one_shows(void **state)
{
    (void)state;
    assert_true(shows_only("10:12:10", "10:12:10", 0));
    assert_false(shows_only("10:12:10", "12:12:", 0)); /* 10 has ended */
    assert_true(shows_only("10:12:10", "12:12:", 10)); /* and was ours */
    assert_false(shows_only("12:12:", "13:13:", 0));   /* 12 came and went */
    assert_true(shows_only("12:12:", "13:13:", 12));
    assert_true(shows_only("12:12:", "12:14:12", 13)); /* 12 came, and runs */
    assert_false(shows_only("12:12:", "12:15:12,14", 14));
    assert_false(shows_only("12:12:", "12:15:12", 13));
    assert_true(shows_only("12:12:", "13:15:13,14", 12));
    assert_false(shows_only("10:14:10,12", "12:16:12,14", 15)); /* 10 */
    assert_true(shows_only("10:14:10,12", "10:16:10,12,14", 15));
    assert_true(shows_only("4294967296:4294967300:4294967296", "4294967296:4294967301:4294967296",
                           4294967300));
    assert_false(shows_only("12:12:", "10:10:", 0)); /* not the later one */
    assert_false(shows_only("", "10:10:", 0));
    assert_false(shows_only("10:10:", "", 0));
    assert_false(shows_only("10:12:x", "10:12:", 0));
    assert_false(shows_only("10:12:", "10:12:x", 0));
}

/* By the meaning of the words, for every pair of snapshots of six transactions. */
static void test_every_pair(void **state)
{
    (void)state;
    enum { IDS = 6 };
    char text[2][40];
    for (int own = 0; own <= IDS; own++)
        for (int before = 0; before < 1 << IDS; before++) /* bits: which have ended */
            for (int after = before; after < 1 << IDS; after++) {
                int sets[2] = {before, after};
                bool only = true;
                for (int i = 0; i < 2; i++) {
                    int end = IDS, n = 0;
                    while (end > 0 && !(sets[i] >> (end - 1) & 1))
                        end--;
                    n = sprintf(text[i], "1:%d:", end + 1);
                    for (int id = 1, any = 0; id <= end; id++)
                        if (!(sets[i] >> (id - 1) & 1))
                            n += sprintf(text[i] + n, any++ ? ",%d" : "%d", id);
                }
                if ((before & after) != before)
                    continue; /* nobody runs again */
                for (int id = 1; id <= IDS; id++)
                    only = only && (id == own || !((after & ~before) >> (id - 1) & 1));
                if (shows_only(text[0], text[1], own) != only)
                    fail_msg("%s, then %s, of ours %d", text[0], text[1], own);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_servers_send),      cmocka_unit_test(test_a_thousand_running),
        cmocka_unit_test(test_what_a_later_one_shows), cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_what_is_none),           cmocka_unit_test(test_which_is_earlier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
