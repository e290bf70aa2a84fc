/* Waking up. While there is work the source is asked again and again; after some empty looks the
 * daemon asks the writers to announce themselves and sleeps, so that neither side pays for idling.
 *
 * No change is missed for long: the nap is asked for first and the source looked at once more after
 * it. A writer that had passed the trigger before the nap is then either seen, or still running,
 * and while such a one runs the waits are short. A slow timer covers everything else.
 *
 * To look into all logs costs the source as much where nothing has come as where something has, and
 * with a thousand tables that is much. So it is only done where something can have come. All that
 * snapshot A shows is at the target, or was looked at: then a look in B finds what transactions
 * have written that B shows and A does not. The two snapshots tell which these are. Where there is
 * none but those that confirm a batch or ask for a nap, which are ours and log nothing, asking for
 * B was enough: a glance. A savepoint's id is in no snapshot's list of what runs; it is taken for
 * one that has ended, and costs a look.
 * What it costs is a round trip more for a change that comes alone and that no writer announces:
 * where each round finds something, it is not asked.
 * Whatever else asks for a round - a table that joins, one that is read as a whole and waits for
 * its turn, a state that is not known to be consistent - is looked at before. */
#include "batch_quiet.h"

#include <math.h>
#include <stdlib.h>

#include "batch_judge.h"
#include "batch_read.h"
#include "batch_two_way.h"
#include "snapshot.h"
#include "steady.h"

#define QUIET_S 0.015  /* between two looks while there might be more at once */
#define QUIET_ROUNDS 8 /* empty looks before a nap */
#define RUNNING_S 0.05 /* between two looks while a writer runs that may not announce itself */
#define SLOW_S 10.     /* covers every lost wake-up */
#define LATE_S 15.     /* a look that is later than this has gone wrong */
#define BRIEF_S 0.05   /* the first such wait after the nap was asked for */
#define BUSY_ROUNDS 2  /* in a row found something: the next one does without a glance */

/* Of the source session's time a look takes a fourth at most, unless a writer wakes us meanwhile.
 */
#define LOOK_RESTS 3.
#define REST_MAX_S 0.2    /* however long that is */
#define MANY_CHANGES 5000 /* after so many the next batch waits no longer than poll says */

enum { AWAIT_MS = 25, AWAIT_MOST_MS = 100 };
/* For how long a statement waits. The other direction cannot be called out of one. */
enum { STAY_MS = 400, STAY_TWO_WAY_MS = 100 };

static double rest_after_look_s(const struct batch_job *b, double least_s)
{
    return fmin(REST_MAX_S, fmax(least_s, LOOK_RESTS * b->look_s));
}

/* How long to wait when nothing was found: a short while first, then a nap that any writer ends.
 * A writer that began before the nap was asked for may not announce itself: while such a one runs
 * the waits are short, and grow. */
static double quiet_s(struct batch_job *b)
{
    if (b->quiet_rounds < QUIET_ROUNDS)
        b->quiet_rounds++;
    if (!batch_is_quiet(b))
        return rest_after_look_s(b, QUIET_S);
    if (b->has_napped && !b->writers_notify)
        return rest_after_look_s(b, RUNNING_S);
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

/* ------------------------------------------------------------------ glances */

static void set_seen(struct batch_job *b, const char *text)
{
    batch_forget_seen(b);
    b->seen = mem_strdup(text);
}

void batch_note_seen(struct batch_job *b)
{
    set_seen(b, b->until);
}

void batch_forget_seen(struct batch_job *b)
{
    free(b->seen);
    b->seen = NULL;
}

void batch_note_own(struct batch_job *b, int64_t xid)
{
    b->own[b->own_count++ % BATCH_OWN] = xid;
}

void batch_note_announced(struct batch_job *b)
{
    b->is_announced |= job_is_at(&b->job, "quiet");
}

static bool is_worth_a_glance(const struct batch_job *b)
{
    return b->seen && b->sync->other == NULL && !b->is_announced && b->busy_rounds < BUSY_ROUNDS &&
           batch_owes_nothing(b);
}

/* It counts as a round from here on: what is committed while the answer is on its way is not in it,
 * and who asks for that with `kick --wait` must not take it for one that began later. */
enum job_next batch_enter_glance(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool is_worth_it = is_worth_a_glance(b);

    b->is_unmoved = b->is_announced = false;
    if (!is_worth_it)
        return JOB_NEXT;
    b->taken_s = steady_now();
    b->look_s = 0;
    b->rounds_begun++;
    params_clear(&j->params);
    batch_ask(b, &sql_batch_snapshot, BATCH_GLANCE);
    return batch_sync_source(b);
}

void batch_take_glance(struct batch_job *b, const char *snapshot, bool has_running)
{
    int count = b->own_count < BATCH_OWN ? b->own_count : BATCH_OWN;

    b->is_unmoved = snapshot_shows_only(b->seen, snapshot, b->own, count);
    if (!b->is_unmoved)
        return;
    b->has_running = has_running;
    set_seen(b, snapshot);
}

enum job_next batch_enter_glanced(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (!b->is_unmoved)
        return JOB_NEXT;
    b->busy_rounds = 0;
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

/* ------------------------------------------------------------------ rest */

/* The source gets as much rest as it had work with the batch, and more where the work was to look,
 * unless much is waiting. While the target writes and commits it rests already. */
enum job_next batch_enter_rest(struct job *j)
{
    struct batch_job *b = batch_of(j);
    double poll_s = b->sync->config->poll_s;
    double rest_s = b->changes > MANY_CHANGES
                        ? fmin(REST_MAX_S, poll_s)
                        : rest_after_look_s(b, fmax(poll_s, b->read_s - b->taken_s));

    rest_s -= steady_now() - b->read_s;
    return job_sleep(j, rest_s > 0 ? rest_s : 0, job_goto(j, "record"));
}

/* ------------------------------------------------------------------ naps */

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
