/* The steps of a round of both directions that foreign keys need: what was removed at one end while
 * the other wrote a row that refers to it. */
#ifndef BATCH_FOREIGN_KEY_H
#define BATCH_FOREIGN_KEY_H

#include "batch.h"

/* Asked by the forward direction, for both, when it is known who wins: what was removed at each end
 * of what rows of the other may refer to; which rows do; which of them other
 * rows at either end cannot do without; and what becomes of them. */
enum job_next batch_enter_gone(struct job *j);
enum job_next batch_enter_orphans(struct job *j);
enum job_next batch_enter_needed(struct job *j);
enum job_next batch_enter_orphans_again(struct job *j);
enum job_next batch_enter_kept(struct job *j);
/* Rows of one table refer to rows of the other. */
bool batch_refers_to(const struct batch_job *b, const struct table *child,
                     const struct table *parent);
/* A removal of this batch may act on rows of this table. */
bool batch_may_lose(const struct batch_job *b, const struct batch_table *child);
/* This table is truncated in this batch together with one that it refers to, or refers to itself.
 */
bool batch_is_cut_with_parent(const struct batch_job *b, const struct batch_table *child);

#endif
