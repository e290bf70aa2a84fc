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
    if (PQntuples(r) > 0)
        guard_of(j)->consumer = mem_strdup(client_text(r, 0, "consumer"));
    return JOB_NEXT;
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
