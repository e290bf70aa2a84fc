/* Errors: the first cause wins, with what belongs to it; texts are cut between characters. */
#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "capture.h"

static void test_first_cause_wins(void **state)
{
    (void)state;
    struct error e;
    error_clear(&e);
    assert_false(error_is_set(&e));
    assert_false(error_set(&e, "first %d", 1));
    error_detail(&e, "its detail");
    assert_true(error_is_set(&e));
    assert_false(error_set(&e, "second"));
    error_detail(&e, "another detail");
    error_hint(&e, "another hint");
    error_place(&e, "another place");
    assert_string_equal(e.what, "first 1");
    assert_string_equal(e.detail, "its detail");
    assert_string_equal(e.hint, "");
    assert_string_equal(e.place, "");
    error_clear(&e);
    assert_false(error_is_set(&e));
    assert_string_equal(e.detail, "");
}

static void test_details_without_an_error(void **state)
{
    (void)state;
    struct error e;
    error_clear(&e);
    error_hint(&e, "no error, no hint");
    assert_string_equal(e.hint, "");
    error_set(&e, "%s", "");
    assert_true(error_is_set(&e));
}

/* At every offset a character of several bytes is kept whole or left out. */
static void test_long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x90"};
    for (size_t c = 0; c < 3; c++) {
        size_t width = strlen(characters[c]);
        for (size_t shift = 0; shift < width; shift++) {
            struct error e;
            char text[2000] = "";
            error_clear(&e);
            memset(text, 'x', shift);
            while (strlen(text) < 1900)
                strcat(text, characters[c]);
            error_set(&e, "%s", text);
            size_t len = strlen(e.what);
            assert_true(len < sizeof e.what && len + width >= sizeof e.what);
            assert_int_equal((len - shift) % width, 0);
            assert_memory_equal(e.what, text, len);
        }
    }
}

static void test_a_text_that_just_fits_is_kept(void **state)
{
    (void)state;
    struct error e;
    char text[sizeof e.what];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_clear(&e);
    error_set(&e, "%s", text);
    assert_string_equal(e.what, text);
}

static void test_print(void **state)
{
    (void)state;
    struct capture c = {.text = NULL};
    struct error e;
    error_clear(&e);
    error_set(&e, "cannot read \"%s\"", "a\033[31mb");
    error_detail(&e, "first line\nsecond line\n");
    error_hint(&e, "do this");
    error_place(&e, "f.yaml:3:7");
    strcpy(e.sqlstate, "42P01");
    capture_begin(&c, stderr);
    error_print(&e);
    assert_string_equal(capture_end(&c), "rebeco: cannot read \"a?[31mb\"\n"
                                         "  at: f.yaml:3:7\n"
                                         "  detail: first line\n    second line\n"
                                         "  sqlstate: 42P01\n"
                                         "  hint: do this\n");
    capture_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_cause_wins),
        cmocka_unit_test(test_details_without_an_error),
        cmocka_unit_test(test_long_texts_are_cut_between_characters),
        cmocka_unit_test(test_a_text_that_just_fits_is_kept),
        cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
