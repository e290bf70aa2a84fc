/* What is done after an error hangs on this table: the states that matter most are checked here. */
#include "sqlstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *state;
    enum sqlstate_action action;
} cases[] = {
    {"", SQLSTATE_RECONNECT},      /* no server spoke */
    {"08006", SQLSTATE_RECONNECT}, /* connection failure */
    {"57P01", SQLSTATE_RECONNECT}, /* the server shuts down, or an administrator ended us */
    {"57P03", SQLSTATE_RECONNECT}, /* the server starts */
    {"40001", SQLSTATE_RETRY},     /* serialization */
    {"40P01", SQLSTATE_RETRY},     /* deadlock */
    {"55P03", SQLSTATE_RETRY},     /* lock timeout */
    {"57014", SQLSTATE_RETRY},     /* cancelled, or a statement timeout */
    {"23505", SQLSTATE_CONFLICT},  /* unique */
    {"23P01", SQLSTATE_CONFLICT},  /* exclusion */
    {"23514", SQLSTATE_DATA},      /* check constraint */
    {"23502", SQLSTATE_DATA},      /* not null */
    {"22021", SQLSTATE_DATA},      /* a byte that is no character */
    {"42703", SQLSTATE_DATA},      /* a column is gone */
    {"42P01", SQLSTATE_DATA},      /* a table is gone */
    {"42501", SQLSTATE_STOP},      /* privilege */
    {"28P01", SQLSTATE_STOP},      /* password */
    {"3D000", SQLSTATE_STOP},      /* no such database */
    {"ZZ999", SQLSTATE_DATA},      /* nobody knows it */
};

static void test_actions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sqlstate_action(cases[i].state) != cases[i].action)
            fail_msg("\"%s\" leads to action %d, not %d", cases[i].state,
                     (int)sqlstate_action(cases[i].state), (int)cases[i].action);
}

static void test_the_more_specific_row_wins(void **state)
{
    (void)state;
    assert_int_equal(sqlstate_action("42999"), SQLSTATE_DATA);
    assert_int_equal(sqlstate_action("42501"), SQLSTATE_STOP);
    assert_string_not_equal(sqlstate_name("42501"), sqlstate_name("42999"));
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(sqlstate_name(""), "");
    assert_string_equal(sqlstate_name("ZZ999"), "");
    assert_non_null(strstr(sqlstate_name("40P01"), "deadlock"));
    assert_non_null(strstr(sqlstate_name("53100"), "disk full"));
}

static void test_rows(void **state)
{
    (void)state;
    assert_true(sqlstate_is_of_chance("40001"));
    assert_true(sqlstate_is_of_chance("40P01"));
    assert_false(sqlstate_is_of_chance("55P03"));
    assert_false(sqlstate_is_of_chance(""));
    assert_true(sqlstate_is_of_row("23514"));
    assert_true(sqlstate_is_of_row("22021"));
    assert_true(sqlstate_is_of_row("P0001"));
    assert_false(sqlstate_is_of_row("42P01"));
    assert_false(sqlstate_is_of_row("P0002"));
    assert_false(sqlstate_is_of_row(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_the_more_specific_row_wins),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
