/* Two ends of a table are compared: every difference is named, with a remedy, and equal ends pass.
 */
#include "drift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* One end of a table with the columns id (the key), name and total (generated). */
struct end {
    struct relation r;
    struct column columns[4];
    const char *key[2];
};

static void end_init(struct end *e)
{
    memset(e, 0, sizeof *e);
    e->columns[0] = (struct column){.name = "id", .type = "integer", .not_null = true};
    e->columns[1] = (struct column){.name = "name", .type = "character varying(20)"};
    e->columns[2] = (struct column){.name = "total", .type = "numeric", .is_generated = true};
    e->key[0] = "id";
    e->r = (struct relation){.schema = "shop",
                             .name = "item",
                             .label = "shop.item",
                             .target_label = "shop.item",
                             .kind = 'r',
                             .shape = "",
                             .key_index = 1,
                             .key_count = 1,
                             .key = e->key,
                             .column_count = 2,
                             .all_count = 3,
                             .columns = e->columns};
}

static void expect(const struct end *s, const struct end *t, const char *what, const char *remedy)
{
    struct drift d;
    assert_false(drift_compare(&s->r, &t->r, &d));
    if (strstr(d.what, what) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", d.what, what);
    if (strstr(d.remedy, remedy) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", d.remedy, remedy);
}

static void test_equal_ends_fit(void **state)
{
    (void)state;
    struct end s, t;
    struct drift d;
    end_init(&s);
    end_init(&t);
    assert_true(drift_compare(&s.r, &t.r, &d));
    assert_string_equal(d.what, "");
}

static void test_the_order_of_columns_does_not_matter(void **state)
{
    (void)state;
    struct end s, t;
    struct drift d;
    end_init(&s);
    end_init(&t);
    struct column first = t.columns[0];
    t.columns[0] = t.columns[1];
    t.columns[1] = first;
    assert_true(drift_compare(&s.r, &t.r, &d));
}

static void test_added_column(void **state)
{
    (void)state;
    struct end s, t;
    end_init(&s);
    end_init(&t);
    s.columns[3] =
        (struct column){.name = "extra", .type = "text", .definition = "text DEFAULT 'a' NOT NULL"};
    s.r.all_count = 4;
    expect(&s, &t, "\"extra\"", "ADD COLUMN \"extra\" text DEFAULT 'a' NOT NULL, which is what");
    s.columns[3].definition = "text DEFAULT ... NOT NULL";
    expect(&s, &t, "\"extra\"", "DEFAULT ... NOT NULL, with the expression");
    s.columns[3].definition = "text";
    struct drift d;
    assert_false(drift_compare(&s.r, &t.r, &d));
    assert_string_equal(d.remedy, "at the target: ALTER TABLE shop.item ADD COLUMN \"extra\" text");
    s.columns[3].not_null = true; /* since the rows were filled: those of the target are not yet */
    expect(&s, &t, "\"extra\"", "ADD COLUMN \"extra\" text, which may be NOT NULL");
}

static void test_dropped_column(void **state)
{
    (void)state;
    struct end s, t;
    end_init(&s);
    end_init(&t);
    t.columns[3] = (struct column){.name = "extra", .type = "text", .needs_value = true};
    t.r.all_count = 4;
    expect(&s, &t, "\"extra\"", "DROP COLUMN \"extra\"");
}

static void test_renamed_column(void **state)
{
    (void)state;
    struct end s, t;
    end_init(&s);
    end_init(&t);
    s.columns[1].name = "title";
    s.columns[1].definition = s.columns[1].type;
    expect(&s, &t, "\"title\"", "RENAME COLUMN \"name\" TO \"title\"");

    const char *before = "{\"oid\": 1, \"columns\": {\"id\": [1], \"name\": [3]}}";
    const char *now = "{\"oid\": 1, \"columns\": {\"id\": [1], \"title\": [3]}}";
    struct drift d;
    s.r.layout = now;
    t.r.layout = before;
    assert_true(drift_renamed(&s.r, &t.r, before, before, &d));
    assert_string_equal(d.what,
                        "column \"name\" of shop.item is called \"title\" at the source now");
    assert_string_equal(d.remedy,
                        "at the target: ALTER TABLE shop.item RENAME COLUMN \"name\" TO \"title\"");
    assert_true(drift_renamed(&t.r, &s.r, before, before, &d));
    assert_non_null(strstr(d.what, "\"title\" at the target now"));
    assert_non_null(
        strstr(d.remedy, "at the source: ALTER TABLE shop.item RENAME COLUMN \"name\""));

    assert_false(drift_renamed(&s.r, &t.r, NULL, NULL, &d)); /* not known */
    assert_false(drift_renamed(&s.r, NULL, before, before, &d));
    s.r.layout = "{\"oid\": 1, \"columns\": {\"id\": [1], \"title\": [4]}}"; /* a new one */
    assert_false(drift_renamed(&s.r, &t.r, before, before, &d));
    s.r.layout = "{\"oid\": 2, \"columns\": {\"id\": [1], \"title\": [3]}}"; /* another table */
    assert_false(drift_renamed(&s.r, &t.r, before, before, &d));
}

static void test_retyped_column(void **state)
{
    (void)state;
    struct end s, t;
    end_init(&s);
    end_init(&t);
    s.columns[1].type = "character varying(21)";
    expect(&s, &t, "character varying(20)", "TYPE character varying(21)");
}

static void test_an_extra_column_that_can_be_left_out(void **state)
{
    (void)state;
    struct end s, t;
    struct drift d;
    end_init(&s);
    end_init(&t);
    t.columns[3] = (struct column){.name = "extra", .type = "text", .not_null = true};
    t.r.column_count = t.r.all_count = 4;
    assert_true(drift_compare(&s.r, &t.r, &d));
    assert_false(drift_dropped(&s.r, &t.r, NULL, &d));
    assert_false(drift_dropped(&s.r, &t.r, "{\"columns\": {\"id\": [1]}}", &d));
    assert_true(drift_dropped(&s.r, &t.r, "{\"columns\": {\"extra\": [4]}}", &d));
    assert_non_null(strstr(d.remedy, "DROP COLUMN \"extra\""));
}

static void test_nullability(void **state)
{
    (void)state;
    struct end s, t;
    struct drift d;
    end_init(&s);
    end_init(&t);
    t.columns[1].not_null = true;
    expect(&s, &t, "NULL", "DROP NOT NULL");
    /* The other way round every value of the source has its place. */
    t.columns[1].not_null = false;
    s.columns[1].not_null = true;
    assert_true(drift_compare(&s.r, &t.r, &d));
}

static void test_generated_at_one_end(void **state)
{
    (void)state;
    struct end s, t;
    end_init(&s);
    end_init(&t);
    t.columns[2].is_generated = false;
    expect(&s, &t, "generated", "same");
}

static void test_key(void **state)
{
    (void)state;
    struct end s, t;
    struct drift d;
    end_init(&s);
    end_init(&t);
    t.key[0] = "name";
    expect(&s, &t, "key", "same");
    /* A target without any key is one that the copy has not finished. */
    t.r.key_count = 0;
    assert_true(drift_compare(&s.r, &t.r, &d));
    /* A source without one is followed by images, whatever the target has. */
    s.r.key_count = 0;
    assert_true(drift_compare(&s.r, &t.r, &d));
    t.r.key_count = 1;
    assert_true(drift_compare(&s.r, &t.r, &d));
    s.r.column_count = 0;
    expect(&s, &t, "no columns", "ADD COLUMN");
}

static void test_the_order_of_a_key(void **state)
{
    (void)state;
    struct end s, t;
    struct drift d;
    end_init(&s);
    end_init(&t);
    s.r.key_count = t.r.key_count = 2;
    s.key[1] = t.key[1] = "name";
    assert_true(drift_keys_in_line(&s.r, &t.r, &d));
    t.key[0] = "name";
    t.key[1] = "id";
    assert_true(drift_compare(&s.r, &t.r, &d));
    assert_false(drift_keys_in_line(&s.r, &t.r, &d));
    assert_non_null(strstr(d.what, "another order"));
    assert_non_null(strstr(d.remedy, "same order"));
    t.r.key_count = 0;
    assert_true(drift_keys_in_line(&s.r, &t.r, &d));
}

static void test_a_table_at_one_end_only(void **state)
{
    (void)state;
    struct end s;
    struct drift d;
    end_init(&s);
    assert_false(drift_compare(&s.r, NULL, &d));
    assert_non_null(strstr(d.what, "shop.item is missing at the target"));
    assert_false(drift_compare(NULL, &s.r, &d));
    assert_non_null(strstr(d.what, "gone at the source"));
    assert_string_not_equal(d.remedy, "");
}

/* 63 bytes of name in every place, and longer types: cut off is allowed, overrun is not. */
static void test_long_names_do_not_overrun(void **state)
{
    (void)state;
    struct end s, t;
    struct drift d;
    char type[2000];
    end_init(&s);
    end_init(&t);
    memset(type, 'x', sizeof type - 1);
    type[sizeof type - 1] = '\0';
    s.columns[1].type = type;
    assert_false(drift_compare(&s.r, &t.r, &d));
    assert_true(strlen(d.what) < sizeof d.what && strlen(d.remedy) < sizeof d.remedy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_ends_fit),
        cmocka_unit_test(test_the_order_of_columns_does_not_matter),
        cmocka_unit_test(test_added_column),
        cmocka_unit_test(test_dropped_column),
        cmocka_unit_test(test_renamed_column),
        cmocka_unit_test(test_retyped_column),
        cmocka_unit_test(test_an_extra_column_that_can_be_left_out),
        cmocka_unit_test(test_nullability),
        cmocka_unit_test(test_generated_at_one_end),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_the_order_of_a_key),
        cmocka_unit_test(test_a_table_at_one_end_only),
        cmocka_unit_test(test_long_names_do_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
