/* The source's side of a batch: asking, and taking the answers. */
#ifndef BATCH_READ_H
#define BATCH_READ_H

#include "batch.h"

static inline struct batch_job *batch_of(struct job *j)
{
    return container_of(j, struct batch_job, job);
}

/* Ends what was sent to the source with a sync point; the step goes on when it is reached. */
enum job_next batch_sync_source(struct batch_job *b);
enum job_next batch_sync_target(struct batch_job *b);
/* Statements to the source, in a pipeline; each is remembered with what it was for. */
void batch_say(struct batch_job *b, const struct sql *sql);
void batch_prepare(struct batch_job *b, const char *name, const char *text);
void batch_ask(struct batch_job *b, const struct sql *sql, enum batch_answer what);
void batch_ask_name(struct batch_job *b, const char *name, enum batch_answer what);
/* Asks for one value, which is kept as batch_answers() says, or for several, of which each goes to
 * the next place; `t` is the table it is about. */
void batch_ask_text(struct batch_job *b, const struct sql *sql, struct batch_table *t,
                    const char **answer);

/* The group is the tables that take part now; it is made anew when that changes. */
bool batch_group_is_current(const struct batch_job *b);
void batch_group_rebuild(struct batch_job *b);
/* A table was paused, and the target does not know it yet. */
bool batch_has_unrecorded(const struct batch_job *b);
/* The table with this capture, NULL: it takes no part. */
struct batch_table *batch_group_find(struct batch_job *b, int id);
/* Finds from where each table is read; false (and the job has failed) when one has no position. */
bool batch_find_positions(struct batch_job *b);
/* Asks how the tables with changes look: sql_batch_stamps in the snapshot, sql_batch_check after.
 */
void batch_send_stamps(struct batch_job *b, const struct sql *sql, enum batch_answer what);
/* Removes all rows of a table that was truncated; in a two-way sync some stay. */
void batch_clear(struct batch_job *b, struct batch_table *t);
/* Asks for the changed rows of a table. */
void batch_send_read(struct batch_job *b, struct batch_table *t, enum apply_mode mode);

/* Takes the oldest statement's result, or one row of it. False when a table no longer looks as its
 * statements expect: it is paused then, and the batch cannot be used. */
bool batch_take(struct batch_job *b, const PGresult *r);
/* The table that the oldest statement is about, NULL for none. */
struct table *batch_first_table(const struct batch_job *b);
/* Puts a table out of step whose statement failed; the row that is refused is looked for. */
void batch_pause_failed(struct batch_job *b, struct table *t, const struct error *e);
/* Somebody holds the table at the source, or in a two-way sync rows of it at the target; when this
 * comes again and again it is put out of step for a while. */
void batch_note_held(struct table *t, enum job_side side);
/* Puts tables out of step whose log cannot tell what has changed; true when there is one. */
bool batch_pause_unreadable(struct batch_job *b);
/* Puts a table out of step whose capture cannot be trusted. */
void batch_pause_broken(struct table *t, const char *broken, bool is_lossy);

#endif
