/* The list of an archive and the words of pg_restore, with names that try to deceive. */
#include "schema_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* As pg_restore writes it; the table at 228 has a name with a line break, shown as a space. */
static const char listing[] =
    ";\n; Archive created at 2026-11-21 10:18:27 UTC\n;     dbname: app\n;\n"
    "3650; 0 0 ENCODING - ENCODING \n"
    "8; 2615 16386 SCHEMA - shop app\n"
    "3; 3079 16614 EXTENSION - citext \n;\tdepends on: 10\n"
    "3655; 0 0 COMMENT - EXTENSION citext \n;\tdepends on: 3\n"
    "3654; 0 0 COMMENT - SCHEMA public pg_database_owner\n;\tdepends on: 6\n"
    "228; 1259 16452 TABLE Odd ;\"x 99; 1259 16386 TABLE ATTACH x app\n;\tdepends on: 8\n"
    "224; 1259 16424 TABLE DATA ev app\n;\tdepends on: 8\n"
    "225; 1259 16429 TABLE shop ev_1 app\n;\tdepends on: 8 224\n"
    "3458; 0 0 TABLE ATTACH shop ev_1 app\n;\tdepends on: 225 224\n"
    "3470; 0 16429 TABLE DATA shop ev_1 app\n;\tdepends on: 225\n"
    "3471; 2606 16416 CONSTRAINT shop ev_1 ev_1_pkey app\n;\tdepends on: 225\n"
    "3489; 0 0 INDEX ATTACH shop ev_1_pkey app\n;\tdepends on: 225 3471\n"
    "3497; 2620 16735 TRIGGER shop ev_1 rebeco_row app\n;\tdepends on: 225\n"
    "3660; 0 0 COMMENT shop TRIGGER rebeco_row ON ev_1 app\n;\tdepends on: 3497\n"
    "3661; 3466 16800 EVENT TRIGGER - e app\n"
    "3662; 9999 17 NEW THING shop n app\n";

static void parse(struct schema_list *l)
{
    struct error e;

    error_clear(&e);
    schema_list_init(l);
    assert_true(schema_list_parse(l, listing, sizeof listing - 1, &e));
    assert_int_equal(l->count, 16);
}

static const char *wanted(const struct schema_list *l)
{
    static char text[1000];
    struct buf out;
    int count;

    buf_init(&out);
    count = schema_list_print(l, true, &out);
    assert_true(count > 0);
    assert_true(out.len < sizeof text);
    strcpy(text, out.data);
    buf_fini(&out);
    return text;
}

static void test_types_are_found_by_catalog(void **state)
{
    static const struct {
        int id;
        const char *type;
    } rows[] = {{228, "TABLE"},       {224, "TABLE"},       {3458, "TABLE ATTACH"},
                {3470, "TABLE DATA"}, {3471, "CONSTRAINT"}, {3489, "INDEX ATTACH"},
                {3, "EXTENSION"},     {3655, "COMMENT"},    {3661, "EVENT TRIGGER"}};
    struct schema_list l;

    (void)state;
    parse(&l);
    for (int i = 0; i < COUNT(rows); i++)
        assert_string_equal(schema_list_find(&l, rows[i].id)->type->name, rows[i].type);
    assert_null(schema_list_find(&l, 3662)->type);
    assert_null(schema_list_find(&l, 99));
    assert_null(schema_list_find(&l, -1));
    assert_null(schema_list_find(&l, 4000000));
    assert_int_equal(schema_list_find(&l, 225)->needs_count, 2);
    assert_int_equal(schema_list_find(&l, 225)->needs[1], 224);
    schema_list_fini(&l);
}

static void test_what_is_left_out(void **state)
{
    struct schema_list l;

    (void)state;
    parse(&l);
    schema_list_find(&l, 3497)->is_left_out = true; /* ours, as the source said */
    schema_list_decide(&l);
    assert_string_equal(wanted(&l), "8;\n228;\n224;\n225;\n3458;\n3471;\n3489;\n3662;\n");
    schema_list_fini(&l);
}

static void test_what_is_there_is_not_wanted(void **state)
{
    struct schema_list l;

    (void)state;
    parse(&l);
    schema_list_find(&l, 3471)->is_there = true;
    schema_list_find(&l, 3471)->is_renamed = true;
    schema_list_find(&l, 8)->is_there = true;
    schema_list_decide(&l);
    assert_string_equal(wanted(&l), "228;\n224;\n225;\n3458;\n3497;\n3660;\n3662;\n");
    schema_list_fini(&l);
}

/* The comment goes with its foreign key, whichever stands first. */
static void test_foreign_keys_apart(void **state)
{
    static const char text[] =
        "225; 1259 16429 TABLE shop ev app\n"
        "3659; 0 0 COMMENT shop CONSTRAINT ev_ev_fkey ON ev app\n;\tdepends on: 3480\n"
        "3480; 2606 16430 FK CONSTRAINT shop ev ev_ev_fkey app\n;\tdepends on: 225\n";
    struct schema_list l;
    struct error e;
    struct buf out;

    (void)state;
    error_clear(&e);
    schema_list_init(&l);
    assert_true(schema_list_parse(&l, text, sizeof text - 1, &e));
    buf_init(&out);
    assert_int_equal(schema_list_print(&l, false, &out), 1);
    assert_string_equal(out.data, "225;\n");
    buf_clear(&out, 0);
    assert_int_equal(schema_list_print(&l, true, &out), 3);
    buf_fini(&out);
    schema_list_fini(&l);
}

static void test_failures_for_locks(void **state)
{
    static const char text[] =
        "pg_restore: from TOC entry 225; 1259 16429 TABLE ev_1 app\n"
        "pg_restore: error: could not execute query: ERROR:  deadlock detected\nDETAIL:  x\n"
        "pg_restore: from TOC entry 3471; 2606 16416 CONSTRAINT ev_1 ev_1_pkey app\n"
        "pg_restore: error: could not execute query: ERROR:  no \"deadlock detected\"\n"
        "pg_restore: warning: errors ignored on restore: 2\n";
    struct schema_report report;
    struct schema_list l;

    (void)state;
    parse(&l);
    buf_init(&report.general);
    schema_list_parse_errors(&l, text, &report);
    buf_fini(&report.general);
    assert_true(schema_entry_failed_for_lock(schema_list_find(&l, 225)));
    assert_false(schema_entry_failed_for_lock(schema_list_find(&l, 3471)));
    assert_false(schema_entry_failed_for_lock(schema_list_find(&l, 8)));
    schema_list_fini(&l);
}

static void test_sections(void **state)
{
    static const char section[] = ";\n; header\n225; 1259 16429 TABLE shop ev_1 app\n"
                                  "3660; 0 0 COMMENT shop TRIGGER rebeco_row ON ev_1 app\n"
                                  "77; 0 0 COMMENT nothing\n";
    struct schema_list l;

    (void)state;
    parse(&l);
    schema_list_parse_section(&l, section, sizeof section - 1);
    schema_list_decide(&l);
    assert_string_equal(wanted(&l), "225;\n3660;\n");
    schema_list_fini(&l);
}

static void test_other_forms_are_refused(void **state)
{
    static const char *const texts[] = {"hello\n",
                                        "1;\n",
                                        "1; 2\n",
                                        "-1; 2 3 TABLE x\n",
                                        "99999999999; 1 1 TABLE x\n",
                                        "5; 1259 x TABLE y\n"};

    (void)state;
    for (int i = 0; i < COUNT(texts); i++) {
        struct schema_list l;
        struct error e;

        error_clear(&e);
        schema_list_init(&l);
        assert_false(schema_list_parse(&l, texts[i], strlen(texts[i]), &e));
        assert_true(error_is_set(&e));
        schema_list_fini(&l);
    }
}

static void test_dependency_first_is_no_crash(void **state)
{
    static const char text[] = ";\tdepends on: 1\n";
    struct schema_list l;
    struct error e;

    (void)state;
    error_clear(&e);
    schema_list_init(&l);
    assert_true(schema_list_parse(&l, text, sizeof text - 1, &e));
    assert_int_equal(l.count, 0);
    schema_list_fini(&l);
}

/* ------------------------------------------------------------------ errors */

static void read_errors(struct schema_list *l, const char *text, struct schema_report *r)
{
    parse(l);
    buf_init(&r->general);
    schema_list_parse_errors(l, text, r);
}

static void end_errors(struct schema_list *l, struct schema_report *r)
{
    buf_fini(&r->general);
    schema_list_fini(l);
}

static void test_errors_go_to_their_entries(void **state)
{
    static const char text[] =
        "pg_restore: connecting to database for restore\n"
        "pg_restore: while INITIALIZING:\n"
        "pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "
        "\"transaction_timeout\"\nCommand was: SET transaction_timeout = 0;\n"
        "pg_restore: creating TABLE \"shop.ev_1\"\n"
        "pg_restore: while PROCESSING TOC:\n"
        "pg_restore: from TOC entry 225; 1259 16429 TABLE ev_1 app\n"
        "pg_restore: error: could not execute query: ERROR:  type \"s.h\" does not exist\n"
        "LINE 3:     h s.h\n              ^\nCommand was: CREATE TABLE shop.ev_1 (\n);\n\n\n"
        "pg_restore: creating CONSTRAINT \"shop.ev_1 ev_1_pkey\"\n"
        "pg_restore: from TOC entry 3471; 2606 16416 CONSTRAINT ev_1 ev_1_pkey app\n"
        "pg_restore: error: could not execute query: ERROR:  no table\nDETAIL:  gone\n"
        "Command was: ALTER\npg_restore: warning: errors ignored on restore: 3\n";
    struct schema_list l;
    struct schema_report r;

    (void)state;
    read_errors(&l, text, &r);
    assert_string_equal(schema_list_find(&l, 225)->message,
                        "type \"s.h\" does not exist\nLINE 3:     h s.h\n              ^");
    assert_string_equal(schema_list_find(&l, 3471)->message, "no table\nDETAIL:  gone");
    assert_string_equal(r.general.data,
                        "unrecognized configuration parameter \"transaction_timeout\"\n");
    assert_int_equal(r.ignored, 3);
    assert_false(r.is_lost);
    end_errors(&l, &r);
}

/* A function's body, and a name with a line break, hold lines that look like pg_restore's. */
static void test_text_in_commands_deceives_nobody(void **state)
{
    static const char text[] = "pg_restore: from TOC entry 225; 1259 16429 TABLE a\n"
                               "pg_restore: from TOC entry 3471; 1259 1 TABLE b\n"
                               "pg_restore: from TOC entry 12345678901234567890; 1 1 TABLE\n"
                               "pg_restore: from TOC entry \n"
                               "pg_restore: error: could not execute query: ERROR:  real\n"
                               "Command was: CREATE FUNCTION f() AS '\n"
                               "pg_restore: error: could not execute query: ERROR:  fake\n"
                               "pg_restore: from TOC entry 8; 2615 1 SCHEMA shop\n"
                               "pg_restore: error: no connection to the server\n';\n"
                               "pg_restore: warning: errors ignored on restore: 1\n";
    struct schema_list l;
    struct schema_report r;

    (void)state;
    read_errors(&l, text, &r);
    assert_string_equal(schema_list_find(&l, 225)->message, "real");
    assert_null(schema_list_find(&l, 3471)->message);
    assert_null(schema_list_find(&l, 8)->message);
    assert_false(r.is_lost);
    assert_int_equal(r.ignored, 1);
    end_errors(&l, &r);
}

static void test_lost_connections_are_noticed(void **state)
{
    static const struct {
        const char *text;
        bool is_lost;
    } rows[] = {
        {"pg_restore: error: could not execute query: FATAL:  terminating connection\n", true},
        {"pg_restore: error: could not execute query: FATALE:  chiusura\n"
         "server closed the connection unexpectedly\n",
         true},
        {"pg_restore: error: could not execute query: no connection to the server\n", true},
        {"pg_restore: error: could not execute query: ERROR:  could not connect to server \"f\"\n",
         false},
        {"pg_restore: error: could not execute query: ERROR:  FATAL: x\n", false},
        {"", false},
    };

    (void)state;
    for (int i = 0; i < COUNT(rows); i++) {
        struct schema_list l;
        struct schema_report r;

        read_errors(&l, rows[i].text, &r);
        assert_int_equal(r.is_lost, rows[i].is_lost);
        assert_int_equal(r.ignored, -1);
        end_errors(&l, &r);
    }
}

static void test_no_output_at_all(void **state)
{
    struct schema_list l;
    struct schema_report r;

    (void)state;
    read_errors(&l, NULL, &r);
    assert_int_equal(r.ignored, -1);
    end_errors(&l, &r);
}

/* ------------------------------------------------------------------ the verdict */

static void say(struct schema_list *l, int id, const char *message)
{
    schema_list_find(l, id)->message = mem_strdup(message);
}

static void test_verdict(void **state)
{
    struct schema_list l;

    (void)state;
    parse(&l);
    for (int i = 0; i < l.count; i++) {
        struct schema_entry *e = &l.entries[i];

        e->is_known = e->class_oid != 0 && e->type;
        e->is_there = e->is_known;
    }
    schema_list_find(&l, 3)->is_there = false;   /* an extension that could not be created */
    schema_list_find(&l, 225)->is_there = false; /* a table */
    schema_list_decide(&l);
    say(&l, 3458, "relation does not exist"); /* part of the table's failure */
    say(&l, 8, "already exists");             /* said, but it is there */
    say(&l, 3660, "comment");                 /* a comment is no object */
    say(&l, 3662, "no such thing");           /* unknown: its words decide */
    assert_int_equal(schema_list_judge(&l), 3);
    assert_true(schema_list_find(&l, 3)->is_failed);
    assert_true(schema_list_find(&l, 225)->is_failed);
    assert_true(schema_list_find(&l, 3662)->is_failed);
    schema_list_fini(&l);
}

static void test_names(void **state)
{
    struct schema_list l;
    struct schema_entry *e;

    (void)state;
    parse(&l);
    e = schema_list_find(&l, 225);
    assert_string_equal(schema_entry_name(e), "TABLE shop ev_1 app");
    e->object = "TABLE shop.ev_1";
    assert_string_equal(schema_entry_name(e), "TABLE shop.ev_1");
    schema_list_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_are_found_by_catalog),
        cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_what_is_there_is_not_wanted),
        cmocka_unit_test(test_foreign_keys_apart),
        cmocka_unit_test(test_failures_for_locks),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_other_forms_are_refused),
        cmocka_unit_test(test_dependency_first_is_no_crash),
        cmocka_unit_test(test_errors_go_to_their_entries),
        cmocka_unit_test(test_text_in_commands_deceives_nobody),
        cmocka_unit_test(test_lost_connections_are_noticed),
        cmocka_unit_test(test_no_output_at_all),
        cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
