/* Who source and target are, and whether they are the ones that the sync was made with.
 *
 * A source that lost commits - promoted too early, restored from a backup - or another one
 * altogether has no history in common with our position: nothing is read from it before a person
 * has accepted it, and then everything is copied again. */
#include "lead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "field.h"
#include "lead_steps.h"
#include "log.h"

/* ------------------------------------------------------------------ who we talk to */

static enum job_next take_identity(struct job *j, enum job_side side, const PGresult *r)
{
    struct lead_identity *i = &lead_of(j)->identities[side];

    i->system = lead_keep(j, r, "system");
    i->timeline = lead_keep(j, r, "timeline");
    i->database = lead_keep(j, r, "database");
    i->is_standby = field_bool(r, 0, "is_standby");
    i->next_xid = field_int64(r, 0, "next_xid");
    i->version = field_int(r, 0, "version");
    return JOB_NEXT;
}

enum job_next lead_take_source_identity(struct job *j, PGresult *r)
{
    return take_identity(j, JOB_SOURCE, r);
}

enum job_next lead_take_target_identity(struct job *j, PGresult *r)
{
    return take_identity(j, JOB_TARGET, r);
}

/* It cannot go on without a person; tried again, slowly, in case somebody mends it. */
static enum job_next stop(struct job *j, const char *what, const char *hint)
{
    struct error e = {0};

    error_set(&e, "%s", what);
    error_hint(&e, "%s", hint);
    snprintf(e.sqlstate, sizeof e.sqlstate, "P0001");
    j->sync->stopped = e;
    daemon_consider(j->sync->daemon);
    return job_fail(j, &e);
}

/* Before anything is installed: are these servers that we can work with at all? */
enum job_next lead_enter_check_servers(struct job *j)
{
    const struct lead_identity *s = &lead_of(j)->identities[JOB_SOURCE];
    const struct lead_identity *t = &lead_of(j)->identities[JOB_TARGET];

    if (s->is_standby)
        return stop(j, "the source is a standby: changes cannot be captured there",
                    "Point --source at the primary; a follower may serve the copy as "
                    "copy.follower.");
    if (t->is_standby)
        return stop(
            j, "the target is a standby: nothing can be written there",
            "Point --target at the primary. After a failover it goes on by itself as soon as "
            "the address leads to the new one.");
    if (s->version < SQL_OLDEST_SERVER || t->version < SQL_OLDEST_SERVER)
        return stop(j, "a server is older than PostgreSQL 13", "Upgrade it first.");
    if (strcmp(s->system, t->system) == 0 && strcmp(s->database, t->database) == 0)
        return stop(j, "source and target are the same database", "Check the two addresses.");
    return JOB_NEXT;
}

void lead_bind_take(struct job *j, struct params *p)
{
    const struct lead_identity *s = &lead_of(j)->identities[JOB_SOURCE];
    const struct lead_identity *t = &lead_of(j)->identities[JOB_TARGET];

    params_text(p, j->sync->name);
    params_text(p, s->system);
    params_text(p, s->timeline);
    params_text(p, s->database);
    params_text(p, t->system);
    params_text(p, t->database);
}

static bool is_other(const PGresult *r, const char *column, const char *now)
{
    const char *then = field_or_null(r, 0, column);

    return then && strcmp(then, now) != 0;
}

/* The next transaction id lies below the recorded one. */
static bool is_older(const PGresult *r, const struct lead_identity *source)
{
    return field_int64(r, 0, "snapshot_xmax") > source->next_xid;
}

/* Somebody said that the source as it is now is the right one. */
static bool is_accepted(const PGresult *r)
{
    return field_bool(r, 0, "is_accepted");
}

static const char accept_hint[] =
    "Compare the ends. If this source is the right one, `rebeco accept` begins anew with it: "
    "every table is copied again, and its rows at the target are replaced.";
static const char accept_back_hint[] =
    "Compare the ends. `rebeco accept` goes on with this target as it is. What it has lost is at "
    "the source only: `rebeco resync TABLE` copies a table again from there.";

/* What is different about the source since it was last led, and what may be done; NULL when it is
 * the same, and no older. */
static const char *difference(const PGresult *r, const struct lead_identity *source,
                              const char **hint)
{
    *hint = accept_hint;
    if (is_other(r, "source_system", source->system) ||
        is_other(r, "source_database", source->database)) {
        *hint =
            "Check --source. If it is the right one, `rebeco accept` begins anew with it: every "
            "table is copied again, and its rows at the target are replaced.";
        return "the source is not the database that this sync was made with";
    }
    if (is_other(r, "source_timeline", source->timeline))
        return "the source was promoted from a standby or restored: it may lack commits that the "
               "target has";
    if (is_older(r, source))
        return "the source has gone back in time: its next transaction id lies below the recorded "
               "one, as after a restore from a backup";
    return NULL;
}

/* The same of a way back, which reads from the target. It goes on from its position where that
 * still means something: what was written there meanwhile is in its change logs and nowhere else.
 */
static const char *difference_back(const PGresult *r, const struct lead_identity *source,
                                   const char **hint, bool *keeps_position)
{
    bool is_promoted = is_other(r, "source_timeline", source->timeline);

    *keeps_position = is_promoted && !is_older(r, source);
    *hint = accept_back_hint;
    if (is_other(r, "source_system", source->system) ||
        is_other(r, "source_database", source->database))
        return "the target is not the database that the way back was made with";
    if (is_older(r, source))
        return "the target has gone back in time: its next transaction id lies below the recorded "
               "one, as "
               "after a restore from a backup";
    if (is_promoted)
        return "the target was promoted from a standby or restored: it may lack commits that the "
               "source "
               "has";
    return NULL;
}

static void take_over(struct sync *s, const PGresult *r)
{
    s->owner = field_int64(r, 0, "owner");
    s->schema_finished = s->is_back || strcmp(field_text(r, 0, "phase"), "follow") == 0;
    s->schema_retried = s->sequences_are_read = s->is_back;
    s->had_tables =
        strcmp(field_text(r, 0, "phase"), "new") != 0 || !field_is_null(r, 0, "known_tables");
    free(s->known_tables);
    s->known_tables = mem_strdup(field_or_null(r, 0, "known_tables"));
    s->is_paused = field_bool(r, 0, "paused");
    direction_note(s, field_text(r, 0, "direction"), field_text(r, 0, "direction_since"));
    s->replaces_rows = field_bool(r, 0, "replaces");
    free(s->snapshot);
    s->snapshot = mem_strdup(field_or_null(r, 0, "snapshot"));
    free(s->told);
    s->told = mem_strdup(field_or_null(r, 0, "told"));
    free(s->consumer);
    s->consumer = mem_strdup(field_text(r, 0, "consumer"));
}

enum job_next lead_take_sync(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    const struct lead_identity *source = &l->identities[JOB_SOURCE];
    const char *hint, *what;

    l->keeps_position = false;
    what = j->sync->is_back ? difference_back(r, source, &hint, &l->keeps_position)
                            : difference(r, source, &hint);

    if (field_bool(r, 0, "is_leaving"))
        return stop(j, "this sync is being uninstalled: part of it is gone already",
                    "Run `rebeco uninstall` again, to its end. Nothing is copied, so that the "
                    "target's rows stay. To keep the sync instead, run `rebeco uninstall --only "
                    "source`: then it begins anew with a copy, which replaces them.");
    if (is_other(r, "target_system", l->identities[JOB_TARGET].system) ||
        is_other(r, "target_database", l->identities[JOB_TARGET].database))
        return stop(j, "the target is a clone of the database that this sync was made with",
                    "Check --target. To start a sync of its own here, run `rebeco uninstall "
                    "--only target` first.");
    if (what && !is_accepted(r))
        return stop(j, what, hint);
    take_over(j->sync, r);
    l->is_accepted = is_accepted(r);
    l->former_consumer = lead_keep(j, r, "former_consumer");
    l->begins_anew = what != NULL;
    return JOB_NEXT;
}

/* The source is told of a position when the target has it on disk, and empties its change logs
 * then. A target that is behind that has lost commits, and what they held may be nowhere any more.
 * Of a way back the forward direction notices it: its source has gone back. */
void lead_bind_confirmed(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
    params_text(p, j->sync->snapshot);
    params_text(p, j->sync->told);
}

static const char ahead_what[] =
    "the target has gone back in time: the source was told that it has more, as "
    "before a failover to a standby that was behind, or a restore";
static const char ahead_hint[] =
    "Changes since then may be nowhere any more. Compare the ends. `rebeco accept` "
    "begins anew with this target: every table is copied again, and its rows "
    "there are replaced.";

/* Its transaction numbers may be beyond our position again, and then nothing else tells that it was
 * restored (schema/103_told.sql). */
static const char behind_what[] =
    "the %s has gone back in time: it knows less of this sync than it "
    "did once, as after a restore from a backup";

static enum job_next stop_behind(struct job *j)
{
    struct error what = {0};

    error_set(&what, behind_what, j->sync->is_back ? "target" : "source");
    return stop(j, what.what, j->sync->is_back ? accept_back_hint : accept_hint);
}

enum job_next lead_take_confirmed(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    bool is_ahead = PQntuples(r) > 0 && field_bool(r, 0, "is_ahead") && !j->sync->is_back;
    bool is_behind = PQntuples(r) > 0 && field_bool(r, 0, "is_behind") && !l->keeps_position;

    if (is_ahead && !l->is_accepted)
        return stop(j, ahead_what, ahead_hint);
    if (is_behind && !l->is_accepted)
        return stop_behind(j);
    error_clear(&j->sync->stopped);
    l->begins_anew |= is_ahead || is_behind;
    return JOB_NEXT;
}

/* Whoever accepts the source gets a sync that has its name and its tables' names, and no position.
 */
enum job_next lead_enter_accept(struct job *j)
{
    if (!lead_of(j)->begins_anew)
        return JOB_NEXT;
    params_clear(&j->params);
    if (lead_of(j)->keeps_position) {
        params_text(&j->params, j->sync->name);
        params_text(&j->params, lead_of(j)->identities[JOB_SOURCE].timeline);
        conn_execute(job_conn(j, JOB_TARGET), &sql_sync_accept_timeline, &j->params, CONN_TEXT,
                     60.);
    } else {
        lead_bind_take(j, &j->params);
        conn_execute(job_conn(j, JOB_TARGET), &sql_sync_accept, &j->params, CONN_TEXT, 60.);
    }
    return JOB_WAIT;
}

enum job_next lead_take_accepted(struct job *j, PGresult *r)
{
    (void)r;
    log_event(LOG_WARNING,
              lead_of(j)->keeps_position ? "accepted by a person: the way back goes on"
              : j->sync->is_back         ? "accepted by a person: the way back begins anew"
                                         : "accepted by a person: every table is copied again",
              "sync", j->sync->name, NULL);
    return job_goto(j, j->sync->other && !j->sync->is_back ? "accept back" : "take");
}

/* People know of one sync only: what they accept holds for its way back, too. */
void lead_bind_accept_back(struct job *j, struct params *p)
{
    params_text(p, j->sync->other->name);
}

enum job_next lead_take_accept_back(struct job *j, PGresult *r)
{
    (void)r;
    return job_goto(j, j->sync->is_led ? "answer" : "take");
}

void lead_bind_former(struct job *j, struct params *p)
{
    params_text(p, lead_of(j)->former_consumer);
}
