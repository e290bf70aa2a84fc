/* The queue behind everything that is sent and not answered yet. */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

enum { FIRST_SIZE = 16 };

static char *place(const struct ring *r, int number)
{
    return r->items + r->item_size * (size_t)((r->head + number) % r->size);
}

void ring_init(struct ring *r, size_t item_size)
{
    memset(r, 0, sizeof *r);
    r->item_size = item_size;
}

void ring_fini(struct ring *r)
{
    free(r->items);
    ring_init(r, r->item_size);
}

void ring_clear(struct ring *r)
{
    r->head = 0;
    r->count = 0;
}

static void grow(struct ring *r)
{
    int size = r->size ? 2 * r->size : FIRST_SIZE;
    char *bigger = mem_alloc(r->item_size * (size_t)size);

    for (int i = 0; i < r->count; i++)
        memcpy(bigger + r->item_size * (size_t)i, place(r, i), r->item_size);
    free(r->items);
    r->items = bigger;
    r->size = size;
    r->head = 0;
}

void *ring_push(struct ring *r)
{
    char *p;

    if (r->count == r->size)
        grow(r);
    p = place(r, r->count++);
    return memset(p, 0, r->item_size);
}

void *ring_first(const struct ring *r)
{
    return r->count ? place(r, 0) : NULL;
}

void ring_pop(struct ring *r)
{
    r->head = (r->head + 1) % r->size;
    r->count--;
}
