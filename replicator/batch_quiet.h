/* What the batch job does when there is nothing to do: the steps between two looks. Used by
 * batch*.c only. */
#ifndef BATCH_QUIET_H
#define BATCH_QUIET_H

#include "batch.h"

/* Whether the source is still in the snapshot of the last look, which found nothing; then this one
 * is over. */
enum job_next batch_enter_glance(struct job *j);
enum job_next batch_enter_glanced(struct job *j);
/* The look in hand has found nothing, and nothing is owed. */
void batch_note_quiet(struct batch_job *b);
/* The next look is a whole one. */
void batch_forget_quiet(struct batch_job *b);
/* Decides how long to wait, and how. */
enum job_next batch_enter_quiet(struct job *j);
/* Asks whether a writer came by, where writers cannot announce themselves; and takes the answer. */
enum job_next batch_enter_disturbed(struct job *j);
enum job_next batch_enter_undisturbed(struct job *j);
/* Asks the writers to announce themselves. */
enum job_next batch_enter_nap(struct job *j);

#endif
