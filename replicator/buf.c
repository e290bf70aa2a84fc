/* A growing byte buffer.
 *
 * Always true: when data is not NULL, size > len, and data[len] is '\0' unless the caller of
 * buf_room() left it otherwise. */
#include "buf.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

enum { BUF_FIRST = 64 };

void buf_init(struct buf *b)
{
    b->data = NULL;
    b->len = 0;
    b->size = 0;
}

void buf_fini(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_clear(struct buf *b, size_t keep)
{
    if (b->size > keep)
        buf_fini(b);
    b->len = 0;
    if (b->data != NULL)
        b->data[0] = '\0';
}

static void grow(struct buf *b, size_t need)
{
    size_t size = b->size > 0 ? b->size : BUF_FIRST;
    while (size < need)
        size = size > SIZE_MAX / 2 ? need : size * 2;
    b->data = mem_realloc(b->data, size);
    b->size = size;
}

char *buf_room(struct buf *b, size_t more)
{
    if (more > SIZE_MAX - b->len - 1)
        mem_realloc(NULL, SIZE_MAX); /* cannot be had: ends the process as any other such request */
    size_t need = b->len + more + 1;
    if (need > b->size)
        grow(b, need);
    b->data[b->len + more] = '\0';
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *bytes, size_t n)
{
    char *to = buf_room(b, n);
    if (n > 0)
        memcpy(to, bytes, n);
    b->len += n;
}

void buf_text(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        abort(); /* a bug: only a malformed format or a text beyond 2 GB does this */
    char *to = buf_room(b, (size_t)n);
    va_start(args, format);
    vsnprintf(to, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
}

void buf_u32(struct buf *b, uint32_t n)
{
    uint32_t wire = htonl(n);
    buf_append(b, &wire, sizeof wire);
}

void buf_set_u32(struct buf *b, size_t offset, uint32_t n)
{
    if (b->len < sizeof n || offset > b->len - sizeof n)
        abort(); /* a bug: the place was never written */
    uint32_t wire = htonl(n);
    memcpy(b->data + offset, &wire, sizeof wire);
}
