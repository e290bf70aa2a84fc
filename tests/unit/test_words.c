/* Commands of the configuration: split as a shell would, without one. */
#include "words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void check(const char *text, const char *const *expected)
{
    struct arena *a = arena_new();
    struct error e;
    const char **words;
    int i;

    error_clear(&e);
    words = words_split(a, text, &e);
    assert_non_null(words);
    for (i = 0; expected[i]; i++) {
        assert_non_null(words[i]);
        assert_string_equal(words[i], expected[i]);
    }
    assert_null(words[i]);
    arena_free(a);
}

static void test_split(void **state)
{
    (void)state;
    check("a", (const char *const[]){"a", NULL});
    check("  a  b\tc\n", (const char *const[]){"a", "b", "c", NULL});
    check("a 'b c' \"d e\" f\\ g", (const char *const[]){"a", "b c", "d e", "f g", NULL});
    check("a'b'\"c\"d", (const char *const[]){"abcd", NULL});
    check("a '' \"\"", (const char *const[]){"a", "", "", NULL});
    check("a '\\' \"\\\"\\\\\\n\" \\\\", (const char *const[]){"a", "\\", "\"\\\\n", "\\", NULL});
    check("sh -c 'echo \"$X\"; exit 1'",
          (const char *const[]){"sh", "-c", "echo \"$X\"; exit 1", NULL});
    check("a b\\", (const char *const[]){"a", "b\\", NULL});
    check("x x x x x x x x", (const char *const[]){"x", "x", "x", "x", "x", "x", "x", "x", NULL});
}

static void test_refused(void **state)
{
    static const char *const texts[] = {"", "   ", "'a", "a \"b", "'' a"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct arena *a = arena_new();
        struct error e;

        error_clear(&e);
        assert_null(words_split(a, texts[i], &e));
        assert_true(error_is_set(&e));
        arena_free(a);
    }
}

static void test_program(void **state)
{
    struct arena *a = arena_new();
    struct error e;

    (void)state;
    error_clear(&e);
    assert_string_equal(words_program(a, "/bin/sh", &e), "/bin/sh");
    assert_non_null(strstr(words_program(a, "sh", &e), "/sh"));
    assert_null(words_program(a, "/bin/there-is-no-such", &e));
    assert_non_null(strstr(e.what, "there-is-no-such"));
    error_clear(&e);
    assert_null(words_program(a, "there-is-no-such", &e));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
