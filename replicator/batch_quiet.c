/* Waking up. While there is work the source is asked again and again; after some empty looks the
 * daemon asks the writers to announce themselves and sleeps, so that neither side pays for idling.
 *
 * No change is missed for long: the nap is asked for first and the source looked at once more after
 * it. A writer that had passed the trigger before the nap is then either seen, or still running,
 * and while such a one runs the waits are short. A slow timer covers everything else. */
#include "batch_quiet.h"

#include <stdlib.h>

#include "batch_judge.h"
#include "batch_read.h"
#include "batch_two_way.h"
#include "steady.h"

#define QUIET_S 0.015  /* between two looks while there might be more at once */
#define QUIET_ROUNDS 8 /* empty looks before a nap */
#define RUNNING_S 0.05 /* between two looks while a writer runs that may not announce itself */
#define SLOW_S 10.     /* covers every lost wake-up */
#define LATE_S 15.     /* a look that is later than this has gone wrong */
#define BRIEF_S 0.05   /* the first such wait after the nap was asked for */

enum { AWAIT_MS = 25, AWAIT_MOST_MS = 100 };
/* For how long a statement waits. The other direction cannot be called out of one. */
enum { STAY_MS = 400, STAY_TWO_WAY_MS = 100 };

/* How long to wait when nothing was found: a short while first, then a nap that any writer ends.
 * A writer that began before the nap was asked for may not announce itself: while such a one runs
 * the waits are short, and grow. */
static double quiet_s(struct batch_job *b)
{
    if (b->quiet_rounds < QUIET_ROUNDS)
        b->quiet_rounds++;
    if (!batch_is_quiet(b))
        return QUIET_S;
    if (b->has_napped && !b->writers_notify)
        return RUNNING_S;
    if (!b->has_running)
        b->running_wait_s = SLOW_S;
    else
        b->running_wait_s = b->running_wait_s < SLOW_S ? 2 * b->running_wait_s : SLOW_S;
    return b->running_wait_s;
}

/* Rounds that the other direction asks for say nothing of how long a writer has run here. */
void batch_rouse(struct batch_job *b)
{
    bool waits = job_is_at(&b->job, "quiet") || job_is_at(&b->job, "gather");

    b->running_wait_s = BRIEF_S;
    if (waits && b->job.has_later)
        job_continue(&b->job, job_goto(&b->job, "record"));
}

bool batch_is_quiet(const struct batch_job *b)
{
    return b->quiet_rounds >= QUIET_ROUNDS;
}

bool batch_is_asleep(const struct batch_job *b, double now)
{
    return b->quiet_rounds > 0 && now - b->sync->caught_up_at < LATE_S;
}

void batch_wake(struct batch_job *b)
{
    double now = steady_now();

    if (batch_is_asleep(b, now))
        b->sync->caught_up_at = now; /* so what is behind is what woke it */
    b->quiet_rounds = 0;
    b->has_napped = false;
    batch_rouse(b);
}

void batch_note_quiet(struct batch_job *b)
{
    batch_forget_quiet(b);
    if (batch_is_idle(b) && !batch_owes_whole(b))
        b->quiet_at = mem_strdup(b->until);
}

void batch_forget_quiet(struct batch_job *b)
{
    free(b->quiet_at);
    b->quiet_at = NULL;
}

/* The same snapshot sees the same rows: a look at each change log would find nothing, again.
 * It counts as a round from here on: what is committed while the answer is on its way is not in it,
 * and who asks for that with `kick --wait` must not take it for one that began later. */
enum job_next batch_enter_glance(struct job *j)
{
    struct batch_job *b = batch_of(j);

    b->is_unmoved = false;
    if (b->quiet_at == NULL || !batch_is_quiet(b) || j->sync->other)
        return JOB_NEXT;
    b->glanced_s = steady_now();
    b->rounds_begun++;
    params_clear(&j->params);
    batch_ask(b, &sql_batch_snapshot, BATCH_GLANCE);
    return batch_sync_source(b);
}

enum job_next batch_enter_glanced(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (!b->is_unmoved)
        return JOB_NEXT;
    b->taken_s = b->glanced_s;
    return job_goto(j, "quiet");
}

enum job_next batch_enter_quiet(struct job *j)
{
    struct batch_job *b = batch_of(j);
    double owed_s = batch_whole_due_s(b);
    double wait_s;

    if (batch_has_unrecorded(b))
        return job_goto(j, "record");
    b->sync->caught_up_at = b->taken_s;
    b->is_in_round = false;
    batch_round_done(b);
    if (b->confirm_due)
        return job_goto(j, "confirm");
    if (owed_s <= 0)
        return job_sleep(j, QUIET_S, job_goto(j, "record"));
    if (batch_other_waits(b))
        return job_goto(j, "record");
    if (b->quiet_rounds + 1 == QUIET_ROUNDS && !b->has_napped)
        return job_goto(j, "nap");
    /* Before that it is for the end of a copy to wake us, which no statement hears of. */
    if (b->has_napped && !b->writers_notify && !b->has_running && b->sync->phase == SYNC_FOLLOW &&
        steady_now() - b->taken_s < SLOW_S)
        return job_goto(j, "disturbed");
    wait_s = quiet_s(b);
    return job_sleep(j, wait_s < owed_s ? wait_s : owed_s, job_goto(j, "record"));
}

/* The longer nobody has written, the less often it is looked. */
static int await_ms(const struct batch_job *b)
{
    double ms = (steady_now() - b->found_s) * 5;

    return ms < AWAIT_MS ? AWAIT_MS : ms > AWAIT_MOST_MS ? AWAIT_MOST_MS : (int)ms;
}

/* Writers cannot announce themselves where transactions may be prepared: a statement at the source
 * waits for one instead, a short while at a time. */
enum job_next batch_enter_disturbed(struct job *j)
{
    struct batch_job *b = batch_of(j);

    b->is_disturbed = false;
    params_clear(&j->params);
    params_int(&j->params, j->sync->other ? STAY_TWO_WAY_MS : STAY_MS);
    params_int(&j->params, await_ms(b));
    batch_ask(b, &sql_capture_await, BATCH_DISTURBED);
    return batch_sync_source(b);
}

enum job_next batch_enter_undisturbed(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (b->is_disturbed)
        batch_wake(b);
    return job_goto(j, b->is_disturbed ? "record" : "quiet");
}

enum job_next batch_enter_nap(struct job *j)
{
    struct batch_job *b = batch_of(j);

    b->has_napped = true;
    b->running_wait_s = BRIEF_S;
    params_clear(&j->params);
    batch_ask(b, &sql_capture_nap, BATCH_NAP);
    return batch_sync_source(b); /* then look once more: somebody may have written meanwhile */
}
