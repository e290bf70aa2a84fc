/* Pages: what both ends say of rows that both have changed is asked for, decided and written down a
 * few megabytes at a time. Used by the steps of a round in batch_decide.c and batch_two_way.c. */
#ifndef BATCH_PAGE_H
#define BATCH_PAGE_H

#include <jansson.h>

#include "batch.h"

/* How much of rows is held at once, but for one row that is larger. */
enum { BATCH_PAGE_BYTES = 2 * 1024 * 1024 };

/* The keys of a slice are known: its first page is to come. */
void batch_page_reset(struct batch_job *b);
/* The next page: t->page are its keys of each table. */
void batch_page_begin(struct batch_job *b);
/* How many bytes of rows it may have of one table. */
int64_t batch_page_bytes(const struct batch_job *b);
/* What was decided about it, NULL: nothing, is taken in. True when there are more keys. */
bool batch_page_end(struct batch_job *b);
/* A list of keys or rows grows by what the verdict has of it. */
void batch_page_found(struct batch_job *b, struct batch_table *t, enum batch_list which,
                      const json_t *verdict);
/* All of it, in an arena; NULL for nothing. */
const char *batch_page_all(struct arena *a, const struct batch_table *t, enum batch_list which);
/* Nothing of the page is needed any more. */
void batch_page_free(struct batch_job *b);

/* Begins the transaction at the target that is to write this half of the round, if need be. */
void batch_begin_writing(struct batch_job *b);
/* Of a page with others behind it, the records are written at both ends; then the step `next`. */
enum job_next batch_page_hand_over(struct batch_job *b, const char *next);
/* The other direction takes over a page with its records. */
void batch_page_pass(struct batch_job *from, struct batch_job *to);
/* It writes them, and waits for more. */
enum job_next batch_enter_page(struct job *j);
enum job_next batch_enter_paged(struct job *j);

#endif
