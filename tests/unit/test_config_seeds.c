/* The fuzzer's seeds, whole, cut at every byte, and damaged at random places: the same target as
 * `make fuzz-config`, in a second and without libFuzzer. */
#include "../fuzz/fuzz_config.c"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const char folder[] = "tests/fuzz/config";

enum { SEED_MAX = 4096, DAMAGES = 300 };

/* In memory of exactly this size, so that a sanitizer sees every byte read too far. */
static void run(const char *text, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, text, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void damage(char *text, size_t size)
{
    static const char odd[] = "{}[]:,-*&!|>'\"%@`#\n \t\0\xff$?";
    for (int n = 0; n < 3; n++)
        text[(size_t)random() % size] = odd[(size_t)random() % (sizeof odd - 1)];
}

static void run_seed(const char *text, size_t size)
{
    char copy[SEED_MAX];
    for (size_t n = 0; n <= size; n++)
        run(text, n);
    for (int i = 0; i < DAMAGES && size > 0; i++) {
        memcpy(copy, text, size);
        damage(copy, size);
        run(copy, size);
    }
}

static void test_seeds(void **state)
{
    (void)state;
    int count = 0;
    srandom(7);
    DIR *d = opendir(folder);
    if (d == NULL)
        fail_msg("cannot open %s: unit tests run at the top of the tree", folder);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        char name[600], text[SEED_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        FILE *f = fopen(name, "r");
        assert_non_null(f);
        size_t size = fread(text, 1, sizeof text, f);
        fclose(f);
        assert_in_range(size, 1, SEED_MAX - 1);
        run_seed(text, size);
        count++;
    }
    closedir(d);
    assert_true(count >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
