/* What the batch job does when there is nothing to do: the steps between two looks. Used by
 * batch*.c only. */
#ifndef BATCH_QUIET_H
#define BATCH_QUIET_H

#include "batch.h"

/* Whether anything can have come since the last look; where nothing can, this round is over. */
enum job_next batch_enter_glance(struct job *j);
enum job_next batch_enter_glanced(struct job *j);
/* The source's answer: its snapshot now, and whether a writer runs in it. */
void batch_take_glance(struct batch_job *b, const char *snapshot, bool has_running);
/* What the snapshot in hand shows was looked at, and is at the target. */
void batch_note_seen(struct batch_job *b);
/* The next round looks, whatever the snapshots say. */
void batch_forget_seen(struct batch_job *b);
/* A transaction of this job at the source that has logged nothing. */
void batch_note_own(struct batch_job *b, int64_t xid);
/* A writer has announced itself; where that is what the job waits for, it looks at once. */
void batch_note_announced(struct batch_job *b);
/* After a batch: the source rests. */
enum job_next batch_enter_rest(struct job *j);
/* Decides how long to wait, and how. */
enum job_next batch_enter_quiet(struct job *j);
/* Asks whether a writer came by, where writers cannot announce themselves; and takes the answer. */
enum job_next batch_enter_disturbed(struct job *j);
enum job_next batch_enter_undisturbed(struct job *j);
/* Asks the writers to announce themselves. */
enum job_next batch_enter_nap(struct job *j);

#endif
