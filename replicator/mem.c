/* Memory: allocation that cannot fail, and arenas.
 *
 * An arena is a chain of blocks; the newest is filled from its start. A request that does not fit
 * gets a new block, large ones a block of their own behind the newest, so that the room left in the
 * newest is not wasted. Nothing is ever freed singly. */
#include "mem.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEM_BLOCK = 16 * 1024, MEM_LARGE = 4 * 1024 };

struct mem_block {
    struct mem_block *older;
    size_t size; /* bytes in data */
    size_t used;
    alignas(max_align_t) char data[];
};

struct arena {
    struct mem_block *newest; /* never NULL */
};

static void out_of_memory(size_t size) __attribute__((noreturn));

static void out_of_memory(size_t size)
{
    fprintf(stderr, "rebeco: out of memory (%zu bytes were asked for)\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = calloc(1, size > 0 ? size : 1);
    if (p == NULL)
        out_of_memory(size);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    void *q = realloc(p, size > 0 ? size : 1);
    if (q == NULL)
        out_of_memory(size);
    return q;
}

char *mem_strdup(const char *s)
{
    if (s == NULL)
        return NULL;
    size_t n = strlen(s) + 1;
    return memcpy(mem_alloc(n), s, n);
}

static struct mem_block *block_new(size_t size)
{
    if (size > SIZE_MAX - sizeof(struct mem_block))
        out_of_memory(size);
    struct mem_block *b = mem_alloc(sizeof *b + size);
    b->size = size;
    return b;
}

struct arena *arena_new(void)
{
    struct arena *a = mem_alloc(sizeof *a);
    a->newest = block_new(MEM_BLOCK);
    return a;
}

void arena_free(struct arena *a)
{
    if (a == NULL)
        return;
    for (struct mem_block *b = a->newest, *older; b != NULL; b = older) {
        older = b->older;
        free(b);
    }
    free(a);
}

/* A block of its own, put behind the newest one. */
static void *alloc_large(struct arena *a, size_t size)
{
    struct mem_block *b = block_new(size);
    b->used = size;
    b->older = a->newest->older;
    a->newest->older = b;
    return b->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size >= MEM_LARGE)
        return alloc_large(a, size);
    size_t unit = alignof(max_align_t);
    size = (size + unit - 1) / unit * unit;
    struct mem_block *b = a->newest;
    if (b->size - b->used < size) {
        b = block_new(MEM_BLOCK);
        b->older = a->newest;
        a->newest = b;
    }
    void *p = b->data + b->used;
    b->used += size;
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    if (s == NULL)
        return NULL;
    size_t n = strlen(s) + 1;
    return memcpy(arena_alloc(a, n), s, n);
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        out_of_memory(0);
    char *s = arena_alloc(a, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(s, (size_t)n + 1, format, args);
    va_end(args);
    return s;
}
