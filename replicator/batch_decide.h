/* The steps of a round in which conflicts are found and decided, and their record. */
#ifndef BATCH_DECIDE_H
#define BATCH_DECIDE_H

#include "batch.h"

/* Which keys were changed at both ends: asked in turns, the smaller side first. */
/* Many keys are asked about in slices, from here to `agree`. */
enum job_next batch_enter_own_keys(struct job *j);
enum job_next batch_enter_other_keys(struct job *j);
enum job_next batch_enter_details(struct job *j);
enum job_next batch_enter_decide(struct job *j);
/* Frees what was asked about a slice. */
void batch_end_slice(struct batch_job *b);
/* The forward direction tells the other one. */
enum job_next batch_enter_agree(struct job *j);
/* Ends what the target has kept for the slices. */
enum job_next batch_enter_sliced(struct job *j);
/* Writes down what was decided, in the transaction that applies it. */
void batch_send_conflicts(struct batch_job *b);
/* It is committed: the conflicts decided in it count. */
void batch_count_conflicts(struct batch_job *b);

#endif
