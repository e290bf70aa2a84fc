/* Rules about single tables: which one counts, what a renaming may say, and how names come out of
 * it. */
#include "config_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void add(struct config_rules *r, struct arena *a, const char *pattern, const char *value)
{
    config_rule_say(config_rules_add(r, pattern, "file:1:1", a), value, a);
}

static void expect(const struct config_rules *r, const char *schema, const char *table,
                   const char *to_schema, const char *to_table)
{
    struct arena *a = arena_new();
    const char *s, *t;
    config_rename(r, a, schema, table, &s, &t);
    assert_string_equal(s, to_schema);
    assert_string_equal(t, to_table);
    arena_free(a);
}

static void test_renaming(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct config_rules r = {0};
    add(&r, a, "shop.item", "store.thing");
    add(&r, a, "shop.\"a.\"\"b\"", "\"st.ore\".c");
    add(&r, a, "shop.*", "store.*");
    expect(&r, "shop", "item", "store", "thing");
    expect(&r, "shop", "a.\"b", "st.ore", "c");
    expect(&r, "shop", "items", "store", "items");
    expect(&r, "shops", "item", "shops", "item");
    expect(&r, "Shop", "item", "Shop", "item");
    arena_free(a);
}

static void test_what_is_no_renaming(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"a.b", "c"},    {"a", "c.d"},     {"a.*", "c.d"},    {"a.b", "c.*"},      {"*.b", "c.d"},
        {"a.b?", "c.d"}, {"a.b", "c.d.e"}, {"a.\"b", "c.d"},  {"a.b", ""},         {"a.b", ".d"},
        {"a.b", "c."},   {"a.b", "c.*d"},  {"\"\".b", "c.d"}, {"a.\"b\"x", "c.d"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct error e = {0};
        if (config_rename_check(pairs[i][0], pairs[i][1], &e))
            fail_msg("%s: %s was taken", pairs[i][0], pairs[i][1]);
        assert_string_not_equal(e.hint, "");
    }
}

static void test_the_first_that_means_a_table_counts(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct config_rules r = {0};
    add(&r, a, "shop.item*", "one");
    add(&r, a, "shop.*", "two");
    assert_string_equal(config_rules_find(&r, "shop", "items")->values[0], "one");
    assert_string_equal(config_rules_find(&r, "shop", "other")->values[0], "two");
    assert_null(config_rules_find(&r, "other", "item"));
    arena_free(a);
}

static void test_printing(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct config_rules r = {0};
    struct buf b;
    buf_init(&b);
    config_rules_print(&r, true, &b);
    assert_string_equal(b.data ? b.data : "", "");
    add(&r, a, "a.\"b\"", "x");
    config_rule_say(&r.rules[0], "y", a);
    config_rules_print(&r, true, &b);
    assert_string_equal(b.data, "{\"a.\\\"b\\\"\": [\"x\", \"y\"]}");
    buf_fini(&b);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renaming),
        cmocka_unit_test(test_what_is_no_renaming),
        cmocka_unit_test(test_the_first_that_means_a_table_counts),
        cmocka_unit_test(test_printing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
