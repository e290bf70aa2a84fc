/* A growing byte buffer. data[len] is always '\0' once something was appended, so that text can be
 * used as it stands. */
#ifndef BUF_H
#define BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;  /* NULL while nothing was ever appended */
    size_t len;  /* bytes in use */
    size_t size; /* bytes allocated */
};

/* An empty buffer without memory. */
void buf_init(struct buf *b);
/* Frees the memory; the buffer is empty again and may be used. */
void buf_fini(struct buf *b);
/* Empties without freeing, unless it grew beyond `keep` bytes: then it is freed. */
void buf_clear(struct buf *b, size_t keep);
/* Makes room for `more` further bytes and returns the place where they go; the caller adds to len,
 * and sets the '\0' behind when it adds fewer than `more`. */
char *buf_room(struct buf *b, size_t more);
/* Appends bytes, a string, formatted text, or a number in network byte order. */
void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_text(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_u32(struct buf *b, uint32_t n);
/* Overwrites four bytes at `offset`, which must lie within len. */
void buf_set_u32(struct buf *b, size_t offset, uint32_t n);

#endif
