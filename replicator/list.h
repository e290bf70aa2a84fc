/* Intrusive doubly linked lists.
 *
 * A struct list is a link inside the listed struct, and the same type serves as the list's head. An
 * item is in at most one list per link; which list it is in is its state. Nothing here allocates.
 */
#ifndef LIST_H
#define LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The struct that holds `member` at `ptr`; through an integer, so that a pointer to const will do.
 */
#define container_of(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))

struct list {
    struct list *next;
    struct list *prev;
};

/* Makes `l` an empty head, or a link that is in no list. */
static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

/* Puts `item` at the end of the list. It must be in no list. */
static inline void list_append(struct list *head, struct list *item)
{
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}

/* Takes `item` out of its list, if it is in one, and leaves it usable as a link again. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#endif
