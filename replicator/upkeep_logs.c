/* Looking after the change logs is housekeeping: who refuses it stops no change. An event trigger
 * of somebody's that says no to DDL, a lock on a log that an administrator keeps, a disk without
 * room for a new file: the logs grow then, which `log_limit` watches, and it is tried again. Were
 * the lead lost for it, everything would stand still, and what the logs hold would never be read.
 */
#include "upkeep.h"

#include <string.h>

#include "field.h"
#include "lead_steps.h"
#include "log.h"
#include "steady.h"

enum { ROTATE_BYTES = 1024 * 1024, ROTATE_AGAIN_MAX = 10 };

/* Looking at the logs costs time for each. Where nothing was committed at the source since they
 * were all as they should be, none of them has grown. The moment is that of the last stamp, some
 * seconds old: batches since then say more. */
bool upkeep_wants_rotate(const struct lead_job *l)
{
    return l->rotated[0] == '\0' || strcmp(l->rotated, l->moments[JOB_SOURCE]) != 0 ||
           l->sync->batches != l->batches_rotated;
}

void upkeep_bind_rotate(struct job *j, struct params *p)
{
    (void)j;
    params_int(p, ROTATE_BYTES);
}

/* A segment is still to be emptied: it was just left, somebody reads it, or a reader has not
 * confirmed all of it yet. */
static bool is_left(const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++)
        if (!field_is_null(r, i, "answer") && strcmp(field_text(r, i, "answer"), "emptied") != 0)
            return true;
    return false;
}

/* Only logs that hold something new need to be summarized. What is left behind is tried again some
 * times, although nothing may be added to it: it would stay, and be read, for half a minute. */
enum job_next upkeep_take_rotate(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    bool is_same = l->sync->batches == l->batches_rotated;
    bool left = is_left(r);

    l->rotations_left = is_same ? l->rotations_left - 1 : ROTATE_AGAIN_MAX;
    snprintf(l->rotated, sizeof l->rotated, "%s", left ? "" : l->moments[JOB_SOURCE]);
    if (left && l->rotations_left > 0)
        upkeep_no_later(&l->rotate_due, steady_now() + UPKEEP_ROTATE_BUSY_S);
    l->batches_rotated = l->sync->batches;
    if (!is_same)
        return JOB_NEXT;
    error_clear(&l->sync->log_trouble);
    return job_goto(j, "watch");
}

enum job_next upkeep_take_summarize(struct job *j, PGresult *r)
{
    (void)r;
    error_clear(&j->sync->log_trouble);
    return job_goto(j, "watch");
}

static void note_trouble(struct job *j, enum job_side side, const PGresult *r)
{
    struct sync *s = j->sync;
    struct error e = {0};

    conn_result_error(job_conn(j, side), r, &e);
    if (e.hint[0] == '\0')
        error_hint(
            &e, "%s",
            "Until it succeeds the change logs at the source are not emptied, and grow. It is "
            "tried again by itself.");
    s->log_failures = error_is_set(&s->log_trouble) ? s->log_failures + 1 : 1;
    s->log_trouble = e;
    log_error(LOG_WARNING, "change logs not looked after; changes go on", &e, "sync", s->name,
              "step", j->step->name, NULL);
}

enum job_next upkeep_logs_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    if (m->event == CONN_RESULT && job_result_failed(m->result)) {
        note_trouble(j, side, m->result);
        j->answer = job_goto(j, "watch");
    } else if (m->event == CONN_RESULT) {
        j->answer = j->step->result(j, m->result);
    }
    return m->event == CONN_DONE ? j->answer : JOB_WAIT;
}
