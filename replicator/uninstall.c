/* `uninstall`: first makes sure that no daemon works on the sync, then cleans the ends.
 *
 * The guard is a session at the target that holds the sync's lock, the one that a daemon holds,
 * while the ends are cleaned: none can start meanwhile. */
#include "uninstall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

struct guard {
    struct client client;
    const struct command_context *x;
    bool is_held; /* by somebody else */
    char *consumer;
    bool keeps_source; /* one direction is closed: what the source changes is kept there */
    const char *kept;  /* the statement that counts what the target keeps (the job's arena) */
};

static struct guard *guard_of(struct job *j)
{
    struct client *c = container_of(j, struct client, job);
    return container_of(c, struct guard, client);
}

/* ---------------------------------------------------------------- the guard */

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, guard_of(j)->x->sync->name);
}

static enum job_next result_lock(struct job *j, PGresult *r)
{
    struct guard *g = guard_of(j);
    g->is_held = !client_bool(r, 0, "is_ours");
    if (!g->is_held || g->x->force)
        return JOB_NEXT;
    struct error e;
    error_clear(&e);
    error_set(&e, "a daemon works on the sync \"%s\"", g->x->sync->name);
    error_hint(&e, "Stop it first: it would put back what is removed. --force goes on without.");
    return job_fail(j, &e);
}

static enum job_next result_look(struct job *j, PGresult *r)
{
    return client_bool(r, 0, "is_installed") ? JOB_NEXT : job_goto(j, "hold");
}

static enum job_next result_consumer(struct job *j, PGresult *r)
{
    struct guard *g = guard_of(j);
    const char *direction = PQntuples(r) > 0 ? client_text(r, 0, "direction") : NULL;

    if (PQntuples(r) > 0)
        g->consumer = mem_strdup(client_text(r, 0, "consumer"));
    g->keeps_source = direction && strcmp(direction, "target-to-source") == 0;
    if (direction && strcmp(direction, "source-to-target") == 0 && client_bool(r, 0, "has_logs"))
        return JOB_NEXT;
    return job_goto(j, "hold");
}

/* ---------------------------------------------------------------- what the target keeps */

/* It is looked at before the source is cleaned, whose part of the sync it needs. */
static void bind_kept(struct job *j, struct params *p)
{
    const struct guard *g = guard_of(j);

    params_text(p, arena_printf(j->arena, "%s back", g->x->sync->name));
    params_text(p, NULL);
    params_text(p, g->consumer);
}

static enum job_next result_kept(struct job *j, PGresult *r)
{
    const char *statement = client_text(r, 0, "statement");

    guard_of(j)->kept = arena_strdup(j->arena, statement ? statement : "");
    return statement ? JOB_NEXT : job_goto(j, "hold");
}

static enum job_next enter_count_kept(struct job *j)
{
    conn_query(job_conn(j, JOB_TARGET), guard_of(j)->kept, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

static enum job_next result_count_kept(struct job *j, PGresult *r)
{
    struct error e;

    error_clear(&e);
    if (uninstall_may_give_up(guard_of(j)->x, "target", PQgetvalue(r, 0, 0), &e))
        return JOB_NEXT;
    return job_fail(j, &e);
}

bool uninstall_may_give_up(const struct command_context *x, const char *side, const char *changes,
                           struct error *e)
{
    if (strcmp(changes, "0") == 0)
        return true;
    if (x->force) {
        printf("%s: %s changes that were kept for the other end are given up, because of --force\n",
               side, changes);
        fflush(stdout);
        return true;
    }
    error_set(e, "%s: one direction is closed, and %s changes are kept for the other end", side,
              changes);
    error_hint(e, "A running daemon sends them after `rebeco direction both`. --force gives them "
                  "up.");
    return false;
}

/* Leaves the loop with the session open, and the lock held. */
static enum job_next enter_hold(struct job *j)
{
    struct guard *g = guard_of(j);
    g->client.is_finished = g->client.is_over = true;
    ev_break(g->client.loop, EVBREAK_ALL);
    return JOB_WAIT;
}

static const struct job_step guard_steps[] = {
    {.name = "lock",
     .sql = &sql_sync_lock,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_lock},
    {.name = "look",
     .sql = &sql_request_look,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_look},
    {.name = "consumer",
     .sql = &sql_uninstall_consumer,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_consumer},
    {.name = "kept",
     .sql = &sql_uninstall_kept,
     .side = JOB_TARGET,
     .bind = bind_kept,
     .result = result_kept},
    {.name = "count kept", .enter = enter_count_kept, .result = result_count_kept},
    {.name = "hold", .enter = enter_hold},
    {.name = NULL},
};

static const struct job_type guard_type = {
    .name = "guard",
    .uses = {[JOB_TARGET] = true},
    .steps = guard_steps,
    .failed = client_failed,
    .ended = client_ended,
};

/* ---------------------------------------------------------------- the command */

static int clean(const struct uninstall_wish *w, bool source, bool target)
{
    const struct config_sync *s = w->x->sync;
    struct error e;
    error_clear(&e);
    bool ok = (!source || uninstall_end(w, "source", s->source, &e)) &&
              (!target || uninstall_end(w, "target", s->target, &e));
    if (!ok) {
        error_print(&e);
        return EXIT_FAILED;
    }
    if (!source)
        puts("the source still captures changes, until `rebeco uninstall --only source`");
    return EXIT_DONE;
}

static int guard_and_clean(struct guard *g, bool source, bool target)
{
    struct uninstall_wish w = {.x = g->x};
    struct error e;
    error_clear(&e);
    if (!client_run(&g->client, 0, &e)) {
        error_print(&e);
        if (!g->x->force)
            return g->is_held ? EXIT_HELD : EXIT_FAILED;
        fputs("rebeco: going on all the same, because of --force\n", stderr);
    }
    w.consumer = g->consumer;
    w.keeps_source = g->keeps_source;
    return clean(&w, source, target);
}

int uninstall_run(struct command_context *x)
{
    struct guard g = {.x = x};
    struct error e;
    error_clear(&e);
    bool source = x->only == NULL || strcmp(x->only, "source") == 0;
    bool target = x->only == NULL || strcmp(x->only, "target") == 0;
    if (!source && !target) {
        error_set(&e, "--only is source or target, not \"%s\"", x->only);
        return command_usage_error(&e);
    }
    if (source && x->sync->source == NULL) {
        error_set(&e, "the sync \"%s\" has no source", x->sync->name);
        error_hint(&e, "Give --source URL or a configuration file; or --only target.");
        return command_usage_error(&e);
    }
    client_init(&g.client, x, &guard_type, "target", x->sync->target);
    int code = guard_and_clean(&g, source, target);
    client_fini(&g.client);
    free(g.consumer);
    return code;
}
