/* The steps of a batch that it has only in a two-way sync: where the two directions wait for each
 * other, and the look at what came in between. */
#ifndef BATCH_TWO_WAY_H
#define BATCH_TWO_WAY_H

#include <jansson.h>

#include "batch.h"

/* Both directions begin a round together, with the same tables. */
enum job_next batch_enter_meet(struct job *j);
/* After a round that only one end has committed: what was decided goes to the other one. */
enum job_next batch_enter_recent(struct job *j);
enum job_next batch_enter_share(struct job *j);
enum job_next batch_enter_shared(struct job *j);
/* Both have looked for changes: a round, or none. */
enum job_next batch_enter_compare(struct job *j);
/* Which rows a truncation of the source does not concern. */
enum job_next batch_enter_survivors(struct job *j);
/* Both know what is decided. */
enum job_next batch_enter_decided(struct job *j);
/* Where the direction is closed, this half of the round is not made. */
enum job_next batch_enter_open(struct job *j);
enum job_next batch_enter_held(struct job *j);
/* The other direction's batches; only where there is one. */
struct batch_job *batch_other(const struct batch_job *b);
/* The same table in the other direction's group, NULL for none; and from where one is read. */
struct batch_table *batch_find_other(const struct batch_job *o, struct table *t);
const char *batch_since(const struct batch_job *b, const struct batch_table *t);
/* The first three parameters of a question about a round. */
void batch_bind_round(struct params *p, int id, const char *since, const char *until);
/* JSON as text that lives in the arena; an empty list for NULL. */
const char *batch_text_of(struct arena *a, const json_t *tree);
/* A set of keys, a JSON object: no list need be searched for each of many. Adds one; false: it was
 * there. */
bool batch_key_add(json_t *set, const json_t *key);
bool batch_key_is_in(const json_t *set, const json_t *key);
/* A JSON list that is there and not empty. */
bool batch_has_any(const char *list);
/* Where an answer of one value lives: as long as what was asked about. */
struct arena *batch_answers(const struct batch_job *b);
/* Two such lists as one, which lives in the arena or is one of the two. */
const char *batch_join(struct arena *a, const char *before, const char *more);
/* Asks the target in the pipeline; parameters are in job.params, the answer lives with the batch.
 */
void batch_ask_there(struct batch_job *b, struct table *t, const struct sql *sql,
                     const char **answer);
/* The forward direction has a page for the other one, which takes it where both are `decided`. */
enum job_next batch_give_page(struct batch_job *b, const char *next);
/* The page that was given is on its way: the direction that has given it goes on. */
void batch_page_taken(struct batch_job *b);
/* After the last write: has the application changed any of these keys meanwhile? */
enum job_next batch_enter_late(struct job *j);
enum job_next batch_enter_late_keys(struct job *j);
enum job_next batch_enter_late_judged(struct job *j);
/* The target has refused a statement of the round. True: that may be because of what came in
 * between, which is asked, and all that was sent has no result any more; else it has failed. */
bool batch_give_up(struct batch_job *b, struct table *t, const struct error *e);
/* The round is given up at this end, and made again. */
enum job_next batch_enter_undo(struct job *j);
/* This direction takes no part any more: the other one does not wait for it. */
void batch_leave_round(struct batch_job *b);
/* This direction has no table now, and comes to no round: an other one that waits for it to begin
 * looks at its own tables again. Else it would wait for ever, and not even record why they stand.
 */
void batch_decline_round(struct batch_job *b);
/* The other direction has something to do, and waits for this one. */
bool batch_other_waits(const struct batch_job *b);
/* There is something to do here: the other direction comes, too. */
void batch_wake_other(struct batch_job *b);
/* A round without anything to do, agreed on by both; without a pair: as is_idle says. */
bool batch_has_nothing(const struct batch_job *b, bool is_idle);

#endif
