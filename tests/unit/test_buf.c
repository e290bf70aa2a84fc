/* Buffers: they grow as needed and always end in '\0'. */
#include "buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_empty(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    assert_null(b.data);
    buf_text(&b, "");
    assert_string_equal(b.data, "");
    assert_int_equal(b.len, 0);
    buf_append(&b, NULL, 0);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
    assert_null(b.data);
    buf_text(&b, "again");
    assert_string_equal(b.data, "again");
    buf_fini(&b);
}

static void test_append_grows(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    for (int i = 0; i < 10000; i++) {
        buf_printf(&b, "%04d,", i);
        assert_int_equal(b.len, (size_t)(i + 1) * 5);
        assert_int_equal(b.data[b.len], '\0');
        assert_true(b.size > b.len);
    }
    for (int i = 0; i < 10000; i++)
        assert_int_equal(atoi(b.data + i * 5), i);
    buf_fini(&b);
}

static void test_bytes_with_zeros(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_append(&b, "a\0b", 3);
    buf_append(&b, "\0", 1);
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "a\0b\0", 5);
    buf_fini(&b);
}

static void test_numbers_in_network_order(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_u32(&b, 0x01020304);
    buf_u32(&b, 0xfffefdfc);
    assert_memory_equal(b.data, "\1\2\3\4\xff\xfe\xfd\xfc", 9);
    buf_set_u32(&b, 4, 5);
    buf_set_u32(&b, 0, 6);
    assert_memory_equal(b.data, "\0\0\0\6\0\0\0\5", 9);
    buf_fini(&b);
}

static void test_clear_keeps_small_memory(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_text(&b, "text");
    char *before = b.data;
    buf_clear(&b, 1000);
    assert_ptr_equal(b.data, before);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    memset(buf_room(&b, 5000), 'x', 5000);
    b.len += 5000;
    buf_clear(&b, 1000);
    assert_null(b.data);
    assert_int_equal(b.size, 0);
    buf_fini(&b);
}

static void test_room(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_text(&b, "ab");
    char *to = buf_room(&b, 3);
    assert_ptr_equal(to, b.data + 2);
    memcpy(to, "cde", 3);
    b.len += 3;
    assert_string_equal(b.data, "abcde");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_append_grows),
        cmocka_unit_test(test_bytes_with_zeros),
        cmocka_unit_test(test_numbers_in_network_order),
        cmocka_unit_test(test_clear_keeps_small_memory),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
