/* After half a round of a two-way sync: rows that were skipped stay different. */
#ifndef BATCH_HALF_H
#define BATCH_HALF_H

#include "batch.h"

/* Asks which rows of this round were skipped in an earlier one that this direction has not carried
 * out, and leaves those out. */
enum job_next batch_enter_half(struct job *j);
enum job_next batch_enter_half_known(struct job *j);

#endif
