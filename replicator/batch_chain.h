/* Steps of a batch whose rows another sync passes on from here: they keep the time at which they
 * were changed (schema/073_chain.sql). */
#ifndef BATCH_CHAIN_H
#define BATCH_CHAIN_H

#include "batch.h"

/* After the last write: asks the source for the times of this batch's changes, where the target
 * logs what we write there. Straight to the commit where it does not. */
enum job_next batch_enter_times(struct job *j);
/* Takes one row of the answer; it goes straight on to the target. */
void batch_take_times(struct batch_job *b, const struct batch_table *t, const PGresult *r);
/* All of them are on their way. */
enum job_next batch_enter_stamped(struct job *j);

#endif
