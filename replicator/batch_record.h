/* Steps of a batch that tell the ends where it stands. Used by batch.c only. */
#ifndef BATCH_RECORD_H
#define BATCH_RECORD_H

#include "batch.h"

/* Records at the target the tables that were taken out of step. */
enum job_next batch_enter_record(struct job *j);
/* They are recorded: from here on they have positions of their own. */
void batch_note_recorded(struct batch_job *b);
/* The parameter of sql/sync_advance.sql that names the tables written to. */
void batch_bind_written(struct batch_job *b, struct params *p);
/* Tells the source what it may prune. That commit also puts what the batch saw on its disk. */
enum job_next batch_enter_flush(struct job *j);
enum job_next batch_enter_confirm(struct job *j);
/* What was said to the source may never be answered. */
void batch_forget_telling(struct batch_job *b);

#endif
