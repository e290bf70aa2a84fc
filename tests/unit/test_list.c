/* Lists: an item is in one list or in none, and the list never loses one. */
#include "list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

struct item {
    int number;
    struct list in_list;
};

/* The numbers in the list, front to back, as decimal digits; checked against the way back. */
static int digits(struct list *head)
{
    int forward = 0, backward = 0, place = 1;
    for (struct list *l = head->next; l != head; l = l->next)
        forward = forward * 10 + container_of(l, struct item, in_list)->number;
    for (struct list *l = head->prev; l != head; l = l->prev, place *= 10)
        backward += container_of(l, struct item, in_list)->number * place;
    assert_int_equal(forward, backward);
    return forward;
}

static void fill(struct list *head, struct item *items, int count)
{
    list_init(head);
    for (int i = 0; i < count; i++) {
        items[i].number = i + 1;
        list_init(&items[i].in_list);
        list_append(head, &items[i].in_list);
    }
}

static void test_append_keeps_the_order(void **state)
{
    (void)state;
    struct list head;
    struct item items[4];
    fill(&head, items, 0);
    assert_true(list_is_empty(&head));
    fill(&head, items, 4);
    assert_false(list_is_empty(&head));
    assert_int_equal(digits(&head), 1234);
}

static void test_remove_anywhere(void **state)
{
    (void)state;
    struct list head;
    struct item items[4];
    fill(&head, items, 4);
    list_remove(&items[1].in_list);
    assert_int_equal(digits(&head), 134);
    list_remove(&items[0].in_list);
    assert_int_equal(digits(&head), 34);
    list_remove(&items[3].in_list);
    assert_int_equal(digits(&head), 3);
    list_remove(&items[2].in_list);
    assert_true(list_is_empty(&head));
}

static void test_remove_twice_is_harmless(void **state)
{
    (void)state;
    struct list head;
    struct item items[2];
    fill(&head, items, 2);
    list_remove(&items[0].in_list);
    list_remove(&items[0].in_list);
    assert_int_equal(digits(&head), 2);
}

static void test_an_item_moves_between_lists(void **state)
{
    (void)state;
    struct list from, to;
    struct item items[3];
    fill(&from, items, 3);
    list_init(&to);
    list_remove(&items[1].in_list);
    list_append(&to, &items[1].in_list);
    assert_int_equal(digits(&from), 13);
    assert_int_equal(digits(&to), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_keeps_the_order),
        cmocka_unit_test(test_remove_anywhere),
        cmocka_unit_test(test_remove_twice_is_harmless),
        cmocka_unit_test(test_an_item_moves_between_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
