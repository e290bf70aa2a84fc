/* Rows of a two-way sync that are logged again by us, so that a later round has them. */
#ifndef BATCH_AGAIN_H
#define BATCH_AGAIN_H

#include <jansson.h>

#include "batch.h"

/* Rows {k, at} that one end keeps though the other has removed them, `at`: when, by the clock
 * there. `out` is the table on the way from the end that keeps them, `in` on the way to it. */
void batch_again_kept(struct batch_job *out_job, struct batch_table *out, struct batch_job *in_job,
                      struct batch_table *in, const json_t *rows);
/* Rows {k, at, new} that are not sent yet on the way of `t`; `at` is by the clock there. */
void batch_again_waits(struct batch_job *b, struct batch_table *t, const json_t *rows);
/* Logs what was noted, where it belongs, before anything is read or written. */
void batch_send_again(struct batch_job *b);
/* Logs what t->again says at the source of its direction: more that was found before the commit. */
void batch_log_again(struct batch_job *b, struct batch_table *t);
/* Something waits for the next round. */
bool batch_has_again(const struct batch_job *b);

#endif
