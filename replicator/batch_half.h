/* After half a round of a two-way sync: rows that were skipped stay different, and what the other
 * half was to send is sent. */
#ifndef BATCH_HALF_H
#define BATCH_HALF_H

#include "batch.h"

/* The table's policy is `skip`, or may say so: a function of the user's. */
bool batch_may_skip(const struct batch_job *b, const struct batch_table *t);
/* The round leaves a row for the next one of whose columns something was decided. */
bool batch_moves_decided(const struct batch_job *b);
/* Asks which rows of this round were skipped in an earlier one that this direction has not carried
 * out, and leaves those out, or what of them is to stay. */
enum job_next batch_enter_half(struct job *j);
/* The sync of which a round may have decided something of that table's rows, with records, that
 * this direction has not carried out; NULL: none. */
const char *batch_half_of(const struct batch_job *b, const struct batch_table *t);
enum job_next batch_enter_half_known(struct job *j);

#endif
