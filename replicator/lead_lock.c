/* The lock that makes a daemon the only one of its sync, and how it passes to another.
 *
 * The lock is an advisory one of the target, held by the leading job's session; it is the quick and
 * friendly part. What makes two daemons safe is the fence: whoever takes a sync counts up
 * rebeco.sync.owner, and every transaction that writes rows or progress at the target ends with a
 * look at that number, in the same transaction, under a row lock (schema/006_sync.sql). Of two
 * daemons that know nothing of each other, only the one with the last number can commit; the other
 * gets RB010, stops everything and comes here. So it does not matter how wrong somebody's idea of
 * who is alive may be: a daemon that was frozen in the middle of a batch and wakes up an hour later
 * finds its number gone.
 *
 * When is the holder taken for dead? It is watched by its pulse (pulse.c), a session that the
 * server hears from every 1.5 s. What counts is whether the server's note of it changes while we
 * look, so no clocks are compared. Has it not changed for network_timeout, the holder is frozen or
 * cut off; its sessions at the target are ended, which rolls back what it had in hand, and the lock
 * is free. One that died with its connections has let go of the lock by itself.
 *
 * A daemon that finds the sync led by a living one ends with code 5, unless it may stand by (run
 * --standby) or has led before. */
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "field.h"
#include "lead_steps.h"
#include "log.h"
#include "pulse.h"
#include "sqlstate.h"
#include "steady.h"

#define LOCK_RETRY_S 0.5
#define SILENT_LEAST_S 6. /* of a holder: some beats of its pulse */
#define REFUSED_S 60.     /* a Secret that is mounted takes its time to change */

enum { PERSON_FAILURES = 3 };

void lead_bind_name(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

enum job_next lead_take_lock(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);

    l->refused_since = 0;
    j->sync->is_held = !field_bool(r, 0, "is_ours");
    if (j->sync->is_held)
        return JOB_NEXT; /* to look at who has it */
    if (l->waits_for)
        log_event(LOG_NOTICE, "the sync is ours now", "sync", j->sync->name, NULL);
    l->waits_for = 0;
    pulse_start(j->sync->pulse);
    return job_goto(j, "bound locks");
}

static void say_who(const struct job *j, int pid, const PGresult *r)
{
    const struct daemon *d = j->sync->daemon;
    const char *hint = d->is_standby || !container_of(j, struct lead_job, job)->is_first
                           ? "This one stands by, and takes over when that one is gone."
                           : "If that one lives, this one ends with code 5; if it stays silent, it "
                             "is taken for dead. `run --standby` waits instead.";

    log_event(LOG_WARNING, "another daemon holds this sync", "sync", j->sync->name, "session",
              log_int(pid), "address", field_or_null(r, 0, "address"), "since",
              field_or_null(r, 0, "since"), "hint", hint, NULL);
}

/* Its pulse has changed, which it does only while it lives. */
static bool is_heard(struct lead_job *l, const PGresult *r)
{
    const char *pulse = field_text(r, 0, "pulse");
    bool has_changed = pulse[0] && l->pulse[0] && strcmp(pulse, l->pulse) != 0;

    if (strcmp(pulse, "hidden") == 0) /* in doubt it lives */
        return true;

    if (pulse[0])
        snprintf(l->pulse, sizeof l->pulse, "%s", pulse);
    return has_changed;
}

static bool may_wait(const struct lead_job *l)
{
    return l->sync->daemon->is_standby || !l->is_first;
}

static double patience_s(const struct lead_job *l)
{
    double s = l->sync->config->network_timeout_s;

    return s > SILENT_LEAST_S ? s : SILENT_LEAST_S;
}

enum job_next lead_take_holder(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    double now = steady_now();
    int pid = PQntuples(r) > 0 ? field_int(r, 0, "pid") : 0;

    if (pid == 0) /* it went at this moment */
        return job_goto(j, "lock");
    if (pid != l->waits_for) {
        l->waits_for = pid;
        l->pulse[0] = '\0';
        l->heard_at = now;
        say_who(j, pid, r);
    }
    if (is_heard(l, r)) {
        l->heard_at = now;
        if (!may_wait(l)) {
            log_event(LOG_ERROR, "the other daemon is alive: this one ends", "sync", j->sync->name,
                      NULL);
            daemon_sync_held(j->sync->daemon, j->sync);
        }
    }
    if (now - l->heard_at < patience_s(l))
        return job_sleep(j, LOCK_RETRY_S, job_goto(j, "lock"));
    log_event(LOG_WARNING, "the other daemon is silent: it is taken for dead", "sync",
              j->sync->name, "session", log_int(pid), "silent_s", log_seconds(now - l->heard_at),
              NULL);
    l->heard_at = now; /* once in a while, should it not help */
    return JOB_NEXT;
}

enum job_next lead_take_evicted(struct job *j, PGresult *r)
{
    log_event(LOG_NOTICE, "its sessions at the target were ended", "sync", j->sync->name,
              "sessions", field_text(r, 0, "ended"), NULL);
    return job_sleep(j, 0.1, job_goto(j, "lock"));
}

/* A login that is refused, or a database that is not there, again and again: somebody has to mend
 * that. A password may be on its way here, so that takes longer. Everything else may pass. */
bool lead_needs_person(struct lead_job *l, const struct error *e)
{
    double now = steady_now();

    if (sqlstate_action(e->sqlstate) != SQLSTATE_STOP) {
        l->refused_since = 0;
        return false;
    }
    if (l->refused_since <= 0)
        l->refused_since = now;
    if (strncmp(e->sqlstate, "28", 2) == 0)
        return now - l->refused_since > REFUSED_S;
    return l->job.failures >= PERSON_FAILURES;
}
