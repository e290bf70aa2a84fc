/* Types are altered at one end, or at both: which values are right then without being copied again.
 */
#include "layout_types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define LABELS(text) "{\"types\": {\"mood\": {\"labels\": {" text "}}}}"
#define PARTS(text) "{\"types\": {\"day\": {\"attributes\": {" text "}}}}"
#define GOOD "\"1\": \"good\", \"2\": \"bad\""
#define GOOD_THERE "\"7\": \"good\", \"8\": \"bad\""
#define A_B "\"1\": \"a int\", \"2\": \"b int\""

struct trial {
    const char *old, *now, *old_target, *target;
    bool keeps;
};

static const struct trial trials[] = {
    /* nothing is known of before */
    {"{}", LABELS(GOOD), "{}", LABELS(GOOD_THERE), true},
    /* a label comes */
    {LABELS(GOOD), LABELS(GOOD ", \"3\": \"fine\""), LABELS(GOOD_THERE), LABELS(GOOD_THERE), true},
    /* another name, here alone, and with nothing known of the other end */
    {LABELS(GOOD), LABELS("\"1\": \"fine\", \"2\": \"bad\""), LABELS(GOOD_THERE),
     LABELS(GOOD_THERE ", \"9\": \"fine\""), false},
    {LABELS(GOOD), LABELS("\"1\": \"fine\", \"2\": \"bad\""), NULL, NULL, false},
    /* there alone */
    {LABELS(GOOD), LABELS(GOOD ", \"3\": \"fine\""), LABELS(GOOD_THERE),
     LABELS("\"7\": \"fine\", \"8\": \"bad\""), false},
    /* at both ends */
    {LABELS(GOOD), LABELS("\"1\": \"fine\", \"2\": \"bad\""), LABELS(GOOD_THERE),
     LABELS("\"7\": \"fine\", \"8\": \"bad\""), true},
    /* at both ends, but the old name is there again, or the new one was there before */
    {LABELS(GOOD), LABELS("\"1\": \"fine\", \"2\": \"bad\", \"3\": \"good\""), LABELS(GOOD_THERE),
     LABELS("\"7\": \"fine\", \"8\": \"bad\", \"9\": \"good\""), false},
    {LABELS(GOOD), LABELS("\"1\": \"bad\", \"2\": \"good\""), LABELS(GOOD_THERE),
     LABELS("\"7\": \"bad\", \"8\": \"good\""), false},
    /* attributes come or go, are renamed, or are replaced */
    {PARTS(A_B), PARTS(A_B ", \"3\": \"c int\""), NULL, NULL, true},
    {PARTS(A_B), PARTS("\"2\": \"b int\""), NULL, NULL, true},
    {PARTS(A_B), PARTS("\"1\": \"b int\", \"2\": \"a int\""), NULL, NULL, true},
    {PARTS(A_B), PARTS("\"2\": \"b int\", \"3\": \"c int\""), NULL, NULL, false},
    {PARTS(A_B), PARTS(A_B), PARTS(A_B), PARTS("\"1\": \"a int\", \"3\": \"b int\""), false},
};

static json_t *load(const char *text)
{
    return text ? json_loads(text, 0, NULL) : NULL;
}

static void test_what_keeps_its_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        const struct trial *c = &trials[i];
        json_t *ends[] = {load(c->old), load(c->now), load(c->old_target), load(c->target)};

        if (layout_keeps_types(ends[0], ends[1], ends[2], ends[3]) != c->keeps)
            fail_msg("%s to %s, and %s to %s", c->old, c->now, c->old_target, c->target);
        for (int k = 0; k < 4; k++)
            json_decref(ends[k]);
    }
}

static void test_what_a_person_is_told(void **state)
{
    (void)state;
    const char *const here[] = {LABELS(GOOD), LABELS("\"1\": \"fine\", \"2\": \"bad\""),
                                LABELS(GOOD_THERE), LABELS(GOOD_THERE)};
    const char *const there[] = {here[2], here[2], here[0], here[1]};
    const char *const both[] = {here[0], here[1], here[2], here[1]};
    const char *const unknown[] = {NULL, here[1], NULL, here[2]};
    char what[512], remedy[512];

    assert_true(layout_relabelled(here, what, remedy));
    assert_string_equal(what, "label 'good' of type mood is called 'fine' at the source");
    assert_string_equal(remedy, "at the target: ALTER TYPE mood RENAME VALUE 'good' TO 'fine'");
    assert_true(layout_relabelled(there, what, remedy));
    assert_string_equal(remedy, "at the source: ALTER TYPE mood RENAME VALUE 'good' TO 'fine'");
    assert_false(layout_relabelled(both, what, remedy));
    assert_false(layout_relabelled(unknown, what, remedy));

    assert_false(
        layout_types_differ(PARTS(A_B), PARTS("\"4\": \"a int\", \"5\": \"b int\""), what, remedy));
    assert_true(layout_types_differ(PARTS(A_B), PARTS("\"2\": \"b int\""), what, remedy));
    assert_string_equal(what, "type day is (a int, b int) at the source and (b int) at the target");
    assert_false(layout_types_differ(NULL, PARTS(A_B), what, remedy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_keeps_its_value),
        cmocka_unit_test(test_what_a_person_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
