/* Memory: what an arena gives is zeroed, aligned, and its own for as long as the arena lives. */
#include "mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void test_alloc_is_zeroed(void **state)
{
    (void)state;
    char *p = mem_alloc(1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    free(p);
    p = mem_alloc(0);
    assert_non_null(p);
    free(p);
}

static void test_realloc_keeps_what_was_there(void **state)
{
    (void)state;
    char *p = mem_realloc(NULL, 4);
    memcpy(p, "abc", 4);
    p = mem_realloc(p, 100000);
    assert_string_equal(p, "abc");
    free(p);
}

static void test_strdup(void **state)
{
    (void)state;
    assert_null(mem_strdup(NULL));
    char *s = mem_strdup("");
    assert_string_equal(s, "");
    free(s);
}

static void test_out_of_memory_aborts(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        close(2);
        free(mem_realloc(NULL, SIZE_MAX / 2));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(status != 0); /* aborted, or ended by the sanitizer */
}

/* Small and large pieces, mixed: each is zeroed, aligned, and keeps what is written to it. */
static void test_arena_pieces_do_not_overlap(void **state)
{
    enum { PIECES = 5000 };
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    (void)state;
    struct arena *a = arena_new();
    srandom(1);
    for (int i = 0; i < PIECES; i++) {
        sizes[i] = i % 500 == 0 ? 50000 : (size_t)random() % 300;
        pieces[i] = arena_alloc(a, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t n = 0; n < sizes[i]; n++)
            assert_int_equal(pieces[i][n], 0);
        memset(pieces[i], i % 251 + 1, sizes[i]);
    }
    for (int i = 0; i < PIECES; i++)
        for (size_t n = 0; n < sizes[i]; n++)
            assert_int_equal(pieces[i][n], i % 251 + 1);
    arena_free(a);
}

static void test_arena_texts(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char long_text[20000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_null(arena_strdup(a, NULL));
    assert_string_equal(arena_strdup(a, "text"), "text");
    assert_string_equal(arena_printf(a, "%d of %s", 7, "9"), "7 of 9");
    assert_string_equal(arena_printf(a, "%s", long_text), long_text);
    assert_string_equal(arena_printf(a, "%s", ""), "");
    arena_free(a);
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_is_zeroed),
        cmocka_unit_test(test_realloc_keeps_what_was_there),
        cmocka_unit_test(test_strdup),
        cmocka_unit_test(test_out_of_memory_aborts),
        cmocka_unit_test(test_arena_pieces_do_not_overlap),
        cmocka_unit_test(test_arena_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
