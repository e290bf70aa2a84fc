/* Memory: allocation that cannot fail, and arenas.
 *
 * Out of memory ends the process: with progress kept in the databases, starting again is the tested
 * recovery. An arena owns many small things that die together: one per job run, one for the
 * configuration, one for the catalog. */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>

struct arena;

/* Zeroed memory of `size` bytes; the caller frees it with free(). Aborts when there is none. */
void *mem_alloc(size_t size);
/* As realloc(), aborts when there is none. New bytes are not zeroed. */
void *mem_realloc(void *p, size_t size);
/* A copy that the caller frees; NULL gives NULL. */
char *mem_strdup(const char *s);

/* A new empty arena; arena_free() frees it with all that was allocated from it. */
struct arena *arena_new(void);
/* Frees the arena and everything in it; NULL is allowed. */
void arena_free(struct arena *a);
/* Zeroed, aligned memory that lives as long as the arena. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy that lives as long as the arena; NULL gives NULL. */
char *arena_strdup(struct arena *a, const char *s);
/* The formatted text, living as long as the arena. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
