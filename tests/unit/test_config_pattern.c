/* Patterns for tables. */
#include "config_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "config.h"

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *schema, *table;
        bool matches;
    } cases[] = {
        {"public.orders", "public", "orders", true},
        {"public.orders", "public", "orders2", false},
        {"public.orders", "public2", "orders", false},
        {"public.orders", "public", "order", false},
        {"public.Orders", "public", "orders", false},
        {"public.Orders", "public", "Orders", true},
        {"*.*", "any", "thing", true},
        {"public.*", "public", "", true},
        {"public.*", "shop", "x", false},
        {"*.orders", "shop", "orders", true},
        {"s*p.o*s", "shop", "orders", true},
        {"s*p.o*s", "sp", "os", true},
        {"s*p.o*s", "shops", "orders", false},
        {"a.*ab*ab*", "a", "xxabab", true},
        {"a.*ab*ab*", "a", "xxabxa", false},
        {"a.**x", "a", "yx", true},
        {"a.?", "a", "x", true},
        {"a.?", "a", "", false},
        {"a.?", "a", "xy", false},
        {"a.?", "a", "\xc3\xa9", true},
        {"a.??", "a", "\xc3\xa9", false},
        {"a.?b", "a",
         "\xf0\x9f\x90\x90"
         "b",
         true},
        {"a.*b", "a",
         "\xc3\xa9"
         "b",
         true},
        {"a.\"*\"", "a", "*", true},
        {"a.\"*\"", "a", "x", false},
        {"a.\"b.c\"", "a", "b.c", true},
        {"\"a.b\".c", "a.b", "c", true},
        {"\"a.b\".c", "a", "b.c", false},
        {"a.\"say \"\"x\"\"\"", "a", "say \"x\"", true},
        {"a.\"b\"*", "a", "bcd", true},
        {"a.\"b?\"*", "a", "b?d", true},
        {"a.\"b?\"*", "a", "bcd", false},
        {"a.b\nc", "a", "b\nc", true},
        {"a.'; DROP TABLE x", "a", "'; DROP TABLE x", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e;
        error_clear(&e);
        assert_true(config_pattern_check(cases[i].pattern, &e));
        if (config_pattern_match(cases[i].pattern, cases[i].schema, cases[i].table) !=
            cases[i].matches)
            fail_msg("%s against %s . %s", cases[i].pattern, cases[i].schema, cases[i].table);
    }
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",     "orders", ".",     "a.",     ".b",     "a.b.c",
        "a..b", "a.\"b",  "\"a.b", "a.\"\"", "\"\".b", "a.\"\"\"",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error e;
        error_clear(&e);
        if (config_pattern_check(cases[i], &e))
            fail_msg("accepted: %s", cases[i]);
        assert_true(error_is_set(&e));
    }
}

static void test_which_tables_are_taken(void **state)
{
    (void)state;
    const char *all[] = {"*.*"}, *shop[] = {"shop.*"}, *log[] = {"*.log"};
    struct config_patterns none = {0};
    static const struct {
        int include, exclude; /* 0: none, 1: all, 2: shop, 3: log */
        bool order, log, other;
    } cases[] = {
        {0, 0, true, true, true},    {1, 0, true, true, true},   {2, 0, true, true, false},
        {0, 3, true, false, true},   {2, 3, true, false, false}, {1, 2, false, false, true},
        {0, 1, false, false, false},
    };
    struct config_patterns lists[] = {
        none, {.count = 1, .texts = all}, {.count = 1, .texts = shop}, {.count = 1, .texts = log}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_sync c = {.include = lists[cases[i].include],
                                .exclude = lists[cases[i].exclude]};
        assert_int_equal(config_takes_table(&c, "shop", "order"), cases[i].order);
        assert_int_equal(config_takes_table(&c, "shop", "log"), cases[i].log);
        assert_int_equal(config_takes_table(&c, "other", "order"), cases[i].other);
    }
}

static void test_lists(void **state)
{
    (void)state;
    const char *texts[] = {"public.*", "*.log", "shop.x"};
    struct config_patterns p = {.count = 3, .texts = texts};
    struct config_patterns none = {.count = 0};
    bool used[3] = {false, false, false};
    assert_true(config_patterns_match(&p, "public", "log", used));
    assert_true(used[0] && used[1] && !used[2]);
    assert_true(config_patterns_match(&p, "shop", "log", NULL));
    assert_false(config_patterns_match(&p, "shop", "y", used));
    assert_false(used[2]);
    assert_false(config_patterns_match(&none, "public", "log", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_which_tables_are_taken),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
