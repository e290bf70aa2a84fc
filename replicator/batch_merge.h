/* Rows that both ends have updated and of which both changes are kept: conflict.merge and
 * conflict.counters. What is decided about them comes with the other decisions of a round
 * (batch_two_way.c); here they are written. */
#ifndef BATCH_MERGE_H
#define BATCH_MERGE_H

#include <jansson.h>

#include "batch.h"

/* The merged rows of a table of the forward direction as [{k, set, other}]: the key at this end,
 * the columns that are set here, the key at the other one. A new list. */
json_t *batch_merge_pairs(const struct batch_table *t, enum job_side side);
/* These rows {k} of one end, of those `pairs`, are not written at the other one in this round. The
 * rest stays in `t`, whose way goes there. */
void batch_merge_wait(struct arena *a, struct batch_table *t, const json_t *pairs,
                      const json_t *rows);
/* What is left out of reading the table of `b`, but for rows that are merged at the other end:
 * those are sent there all the same. */
const char *batch_merge_left_out(struct batch_job *b, const struct batch_table *t);
/* The reading of a table in that mode has ended: sends the rows that are merged in it. */
void batch_merge_send(struct batch_job *b, struct batch_table *t, enum apply_mode mode);
/* All of them by their captures at the target, as JSON for sql/two_way_late.sql; in the arena. */
const char *batch_merge_all(struct batch_job *b);
/* Does the configuration merge rows of that table? */
bool batch_merge_is_asked(const struct table *t);

#endif
