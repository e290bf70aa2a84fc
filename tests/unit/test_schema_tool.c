/* Which pg_dump fits, and how it gets its connection without anybody seeing the password. */
#include "schema_tool.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(schema_tool_version("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
                     15);
    assert_int_equal(schema_tool_version("pg_dump (PostgreSQL) 18beta1\n"), 18);
    assert_int_equal(schema_tool_version("pg_dump: command not found"), 0);
    assert_int_equal(schema_tool_version(""), 0);
    assert_int_equal(schema_tool_version(NULL), 0);
}

static void test_the_fitting_one_is_chosen(void **state)
{
    static const struct {
        int installed[4];
        int source, target, chosen;
    } rows[] = {
        {{13, 15, 17, 18}, 15, 15, 15}, {{13, 15, 17, 18}, 15, 17, 17},
        {{13, 15, 17, 18}, 17, 15, 17}, {{13, 15, 17, 18}, 14, 16, 17},
        {{13, 15}, 13, 18, 15},         {{13, 15}, 15, 16, 15},
        {{13, 15}, 16, 16, 0},          {{0, 0}, 15, 15, 0},
        {{12, 13}, 10, 11, 13},         {{18, 13, 16}, 13, 13, 13},
        {{18, 17}, 13, 13, 17},
    };

    (void)state;
    for (int i = 0; i < COUNT(rows); i++) {
        struct schema_tool all[4] = {{0}};
        struct schema_tools t = {.count = 4, .all = all};
        const struct schema_tool *chosen;
        struct error e;

        error_clear(&e);
        for (int k = 0; k < 4; k++)
            all[k].major = rows[i].installed[k];
        chosen = schema_tool_choose(&t, rows[i].source, rows[i].target, &e);
        assert_int_equal(chosen ? chosen->major : 0, rows[i].chosen);
        assert_int_equal(error_is_set(&e), chosen == NULL);
    }
}

static void test_what_to_install_is_said(void **state)
{
    struct schema_tools t = {0};
    struct error e;

    (void)state;
    error_clear(&e);
    assert_null(schema_tool_choose(&t, 16, 17, &e));
    assert_non_null(strstr(e.hint, "postgresql-client-17"));
    error_clear(&e);
    assert_null(schema_tool_choose(&t, 17, 15, &e));
    assert_non_null(strstr(e.hint, "postgresql-client-17"));
}

/* The value of a parameter in a conninfo, as libpq reads it. */
static const char *parameter(const char *conninfo, const char *keyword)
{
    static char value[200];
    PQconninfoOption *all = PQconninfoParse(conninfo, NULL);
    bool found = false;

    assert_non_null(all);
    for (PQconninfoOption *o = all; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0 && o->val) {
            found = true;
            snprintf(value, sizeof value, "%s", o->val);
        }
    PQconninfoFree(all);
    return found ? value : NULL;
}

/* The password as it stands in the file; in the environment there is none. */
static const char *secret(const struct schema_login *l)
{
    static char value[200];

    for (int i = 0; l->environment[i]; i++)
        assert_int_not_equal(strncmp(l->environment[i], "PGPASSWORD=", 11), 0);
    if (l->passfile == NULL)
        return NULL;
    assert_int_equal(sscanf(l->passfile, "*:*:*:*:%199[^\n]\n", value), 1);
    return value;
}

static void test_every_parameter_but_the_password_is_kept(void **state)
{
    static const char *const urls[] = {
        "postgresql://us%20er:pa%27s%20s@h1:1,h2:2/"
        "d%27b?sslmode=verify-full&options=-c%20a%3Db%5C%20c"
        "&target_session_attrs=read-write&keepalives_idle=77",
        "host=h1,h2 port=1,2 user='us er' password='pa\\'s s' dbname='d\\'b' sslmode=verify-full "
        "options='-c a=b\\\\ c' target_session_attrs=read-write keepalives_idle=77"};

    (void)state;
    for (int i = 0; i < COUNT(urls); i++) {
        struct schema_login l;
        struct error e;

        error_clear(&e);
        assert_true(schema_login_init(&l, urls[i], NULL, "it's us", 15, &e));
        assert_null(strstr(l.conninfo, "pa"
                                       "'s"));
        assert_null(parameter(l.conninfo, "password"));
        assert_string_equal(secret(&l), "pa's s");
        assert_string_equal(parameter(l.conninfo, "host"), "h1,h2");
        assert_string_equal(parameter(l.conninfo, "port"), "1,2");
        assert_string_equal(parameter(l.conninfo, "user"), "us er");
        assert_string_equal(parameter(l.conninfo, "dbname"), "d'b");
        assert_string_equal(parameter(l.conninfo, "sslmode"), "verify-full");
        assert_string_equal(parameter(l.conninfo, "options"), "-c a=b\\ c");
        assert_string_equal(parameter(l.conninfo, "target_session_attrs"), "read-write");
        assert_string_equal(parameter(l.conninfo, "keepalives_idle"), "77");
        assert_string_equal(parameter(l.conninfo, "application_name"), "it's us");
        schema_login_fini(&l);
    }
}

static void test_a_password_of_its_own_replaces_the_urls(void **state)
{
    struct schema_login l;
    struct error e;

    (void)state;
    error_clear(&e);
    assert_true(schema_login_init(&l, "host=h password=old", "new one", "a", 15, &e));
    assert_string_equal(secret(&l), "new one");
    assert_null(strstr(l.conninfo, "old"));
    assert_string_equal(parameter(l.conninfo, "passfile"), "/proc/self/fd/0");
    schema_login_fini(&l);
    assert_true(schema_login_init(&l, "host=h passfile=/mine", "a:b\\c*", "a", 15, &e));
    assert_string_equal(secret(&l), "a\\:b\\\\c*");
    assert_string_equal(parameter(l.conninfo, "passfile"), "/proc/self/fd/0");
    schema_login_fini(&l);
    assert_true(schema_login_init(&l, "host=h passfile=/mine", NULL, "a", 15, &e));
    assert_null(secret(&l));
    assert_string_equal(parameter(l.conninfo, "passfile"), "/mine");
    schema_login_fini(&l);
    assert_false(schema_login_init(&l, "host=h", "two\nlines", "a", 15, &e));
    schema_login_fini(&l);
}

static void test_options_come_after_those_that_are_given(void **state)
{
    struct schema_login l;
    struct error e;

    (void)state;
    error_clear(&e);
    unsetenv("PGOPTIONS");
    assert_true(schema_login_init(&l, "host=h", NULL, "a", 15, &e));
    schema_login_add_options(&l, "-c c=d");
    assert_string_equal(parameter(l.conninfo, "options"), "-c c=d");
    schema_login_fini(&l);
    setenv("PGOPTIONS", "-c e=f", 1);
    assert_true(schema_login_init(&l, "host=h", NULL, "a", 15, &e));
    schema_login_add_options(&l, "-c c=d");
    assert_string_equal(parameter(l.conninfo, "options"), "-c e=f -c c=d");
    schema_login_fini(&l);
    assert_true(schema_login_init(&l, "host=h options='-c a=b\\\\ \\'x'", NULL, "a", 15, &e));
    schema_login_add_options(&l, "-c c=d");
    assert_string_equal(parameter(l.conninfo, "options"), "-c a=b\\ 'x -c c=d");
    assert_string_equal(parameter(l.conninfo, "host"), "h");
    schema_login_fini(&l);
    unsetenv("PGOPTIONS");
}

static void test_other_secrets_are_refused(void **state)
{
    struct schema_login l;
    struct error e;

    (void)state;
    error_clear(&e);
    assert_false(schema_login_init(&l, "host=h sslpassword=hidden", NULL, "a", 15, &e));
    assert_non_null(strstr(e.what, "sslpassword"));
    assert_null(strstr(e.what, "hidden"));
    schema_login_fini(&l);
    error_clear(&e);
    assert_false(schema_login_init(&l, "nonsense=1", NULL, "a", 15, &e));
    schema_login_fini(&l);
}

static void test_installed_programs_are_found(void **state)
{
    struct arena *a = arena_new();
    struct schema_tools t = schema_tools_find(a);

    (void)state;
    assert_true(t.count > 0);
    for (int i = 0; i < t.count; i++) {
        assert_int_equal(t.all[i].dump[0], '/');
        assert_string_not_equal(t.all[i].dump, "/usr/bin/pg_dump"); /* Debian's wrapper */
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_the_fitting_one_is_chosen),
        cmocka_unit_test(test_what_to_install_is_said),
        cmocka_unit_test(test_every_parameter_but_the_password_is_kept),
        cmocka_unit_test(test_a_password_of_its_own_replaces_the_urls),
        cmocka_unit_test(test_options_come_after_those_that_are_given),
        cmocka_unit_test(test_other_secrets_are_refused),
        cmocka_unit_test(test_installed_programs_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
