/* Rows that both ends change so often that hardly any round gets through with them: they wait, the
 * others do not. */
#ifndef BATCH_HOT_H
#define BATCH_HOT_H

#include "batch.h"

/* A round is given up for keys that were changed too late, as t->late_keys says. */
void batch_hot_note(struct batch_job *b, struct batch_table *t);
/* One got through: all rows are tried again. */
void batch_hot_forget(struct batch_job *b);
/* Asks which of them are in this round, then at the target which may wait, and leaves those out. */
enum job_next batch_enter_hot(struct job *j);
enum job_next batch_enter_hot_known(struct job *j);
enum job_next batch_enter_hot_waits(struct job *j);

#endif
