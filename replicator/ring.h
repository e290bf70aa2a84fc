/* A queue of small structs of one size, first in, first out, that grows as needed. */
#ifndef RING_H
#define RING_H

#include <stddef.h>

struct ring {
    char *items;
    size_t item_size;
    int head; /* place of the oldest */
    int count;
    int size; /* places allocated */
};

/* An empty queue of items of that size, without memory. */
void ring_init(struct ring *r, size_t item_size);
/* Frees the memory; the queue is empty and may be used again. */
void ring_fini(struct ring *r);
/* Forgets all items, keeps the memory. */
void ring_clear(struct ring *r);
/* Adds an item at the end and returns its place, zeroed, good until the next push. */
void *ring_push(struct ring *r);
/* The oldest item, or NULL. */
void *ring_first(const struct ring *r);
/* Takes the oldest away; there must be one. */
void ring_pop(struct ring *r);

#endif
