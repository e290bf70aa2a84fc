/* What libpq says of a refused connection: its SQLSTATE is taken out, the rest is for people. */
#include "conn_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *said;
    const char *left;
    const char *sqlstate;
} cases[] = {
    {"connection to server at \"h\", port 1 failed: FATAL:  28P01: password authentication failed",
     "connection to server at \"h\", port 1 failed: FATAL: password authentication failed",
     "28P01"},
    {"... failed: SCHWERWIEGEND:  3D000: Datenbank \"x:  y\" existiert nicht",
     "... failed: SCHWERWIEGEND: Datenbank \"x:  y\" existiert nicht", "3D000"},
    {"connection to server at \"h\", port 1 failed: Connection refused",
     "connection to server at \"h\", port 1 failed: Connection refused", ""},
    {"user \"a:  b\" FATAL:  57P03: starting up", "user \"a:  b\" FATAL: starting up", "57P03"},
    {"FATAL:  no pg_hba.conf entry", "FATAL:  no pg_hba.conf entry", ""},
    {"FATAL:  28P01:", "FATAL:  28P01:", ""},
    {"", "", ""},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char said[200], sqlstate[6] = "";

        strcpy(said, cases[i].said);
        conn_read_refusal(said, sqlstate);
        assert_string_equal(said, cases[i].left);
        assert_string_equal(sqlstate, cases[i].sqlstate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refusals)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
