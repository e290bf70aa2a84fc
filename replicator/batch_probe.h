/* Looking for changes: which change logs hold anything, and what of it is new. */
#ifndef BATCH_PROBE_H
#define BATCH_PROBE_H

#include "batch.h"

/* Asks for the texts of the statements that look for changes in the group, and prepares them as
 * they come. */
void batch_send_probe_texts(struct batch_job *b);
/* In the batch's snapshot, after it was taken: asks which logs hold anything, and at once for the
 * changes in those that did last time. */
void batch_send_looks(struct batch_job *b);
/* The step after it: asks for the changes in those that hold something now. */
enum job_next batch_enter_probe(struct job *j);

/* Take the results. */
void batch_take_probe_texts(struct batch_job *b, const PGresult *r);
void batch_take_logs(struct batch_job *b, const PGresult *r);
void batch_take_probe(struct batch_job *b, const PGresult *r);

#endif
