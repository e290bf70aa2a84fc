/* Is there anything to do? What the probes have found, weighed; and the tables that are read as a
 * whole, which may have to wait. Used by batch*.c only. */
#ifndef BATCH_JUDGE_H
#define BATCH_JUDGE_H

#include "batch.h"

/* Whatever the probes would find, no empty batch is needed, and no table waits for its turn. */
bool batch_owes_nothing(const struct batch_job *b);
/* Nothing was found, and no empty batch is needed either. */
bool batch_is_idle(const struct batch_job *b);
/* After the probes: a batch is to be made. */
bool batch_is_due(struct batch_job *b);
/* Every table takes part and owes nothing, so that after this batch the target is one state of the
 * source. */
bool batch_is_everything(const struct batch_job *b);
/* What was committed before this round is at the target, unless a table still waits for its turn.
 */
void batch_round_done(struct batch_job *b);

/* A table that is read as a whole has changed, and this batch does not read it. */
bool batch_owes_whole(const struct batch_job *b);
/* How long until such a table's turn; longer than any wait when there is none. */
double batch_whole_due_s(const struct batch_job *b);
/* It has been read, and that is committed. */
void batch_whole_read(struct table *t);
/* What was owed when an earlier run ended is not known: everything is. */
void batch_owe_whole(struct batch_job *b);

#endif
