/* `uninstall`: first makes sure that no daemon works on the sync, then cleans the ends.
 *
 * The guard is a session at the target that holds the sync's lock, the one that a daemon holds,
 * while the ends are cleaned: none can start meanwhile. */
#include "uninstall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "field.h"

struct guard {
    struct client client;
    const struct command_context *x;
    bool is_held; /* by somebody else */
    char *consumer;
    bool keeps_source; /* one direction is closed: what the source changes is kept there */
    bool keeps_target;
    bool can_mark; /* the target's tables are of a version that knows the mark */
    struct uninstall_position at_target;
    struct uninstall_position at_source;
};

static struct guard *guard_of(struct job *j)
{
    struct client *c = container_of(j, struct client, job);
    return container_of(c, struct guard, client);
}

void uninstall_take_position(struct uninstall_position *p, const PGresult *r)
{
    free(p->all);
    free(p->own);
    p->all = mem_strdup(field_or_null(r, 0, "position"));
    p->own = mem_strdup(field_or_null(r, 0, "own"));
}

static void forget_position(struct uninstall_position *p)
{
    free(p->all);
    free(p->own);
}

/* ---------------------------------------------------------------- the guard */

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, guard_of(j)->x->sync->name);
}

static enum job_next result_lock(struct job *j, PGresult *r)
{
    struct guard *g = guard_of(j);
    g->is_held = !field_bool(r, 0, "is_ours");
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
    return field_bool(r, 0, "is_installed") ? JOB_NEXT : job_goto(j, "hold");
}

static enum job_next result_consumer(struct job *j, PGresult *r)
{
    struct guard *g = guard_of(j);
    const char *direction;

    if (PQntuples(r) == 0)
        return JOB_NEXT;
    direction = field_or_null(r, 0, "direction");
    g->consumer = mem_strdup(field_or_null(r, 0, "consumer"));
    g->can_mark = field_bool(r, 0, "can_mark");
    uninstall_take_position(&g->at_target, r);
    g->keeps_source = direction && strcmp(direction, "target-to-source") == 0;
    g->keeps_target = direction && strcmp(direction, "source-to-target") == 0;
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

/* ---------------------------------------------------------------- the mark */

struct mark {
    struct client client;
    const char *sync;
    bool leaves;
};

static void bind_mark(struct job *j, struct params *p)
{
    const struct mark *m = container_of(container_of(j, struct client, job), struct mark, client);

    params_text(p, m->sync);
    params_bool(p, m->leaves);
}

static const struct job_step mark_steps[] = {
    {.name = "mark", .sql = &sql_uninstall_mark, .side = JOB_TARGET, .bind = bind_mark},
    {.name = NULL},
};

static const struct job_type mark_type = {
    .name = "mark",
    .uses = {[JOB_TARGET] = true},
    .steps = mark_steps,
    .failed = client_failed,
    .ended = client_ended,
};

static bool mark(const struct command_context *x, bool leaves, struct error *e)
{
    struct mark m = {.sync = x->sync->name, .leaves = leaves};
    bool ok;

    client_init(&m.client, x, &mark_type, "target", x->sync->target);
    ok = client_run(&m.client, 0, e);
    client_fini(&m.client);
    return ok;
}

/* ---------------------------------------------------------------- the command */

/* Where an end is left alone, what it keeps counts all the same: the other's part of the sync goes,
 * and without that it can never be sent. */
static bool look_at(const struct uninstall_wish *w, const char *side,
                    const struct config_database *d, bool is_cleaned, bool keeps, struct error *e)
{
    if (!is_cleaned && !keeps)
        return true;
    if (d == NULL) {
        error_set(e, "%s: one direction is closed, and changes may be kept there for the other end",
                  side);
        error_hint(e, "Give --%s, to have them counted; --force gives them up.", side);
        return false;
    }
    return uninstall_end(w, is_cleaned ? UNINSTALL_LOOKS : UNINSTALL_COUNTS, side, d, e);
}

static bool look(const struct uninstall_wish *w, bool source, bool target, struct error *e)
{
    const struct config_sync *s = w->x->sync;

    return look_at(w, "source", s->source, source, w->keeps_source, e) &&
           look_at(w, "target", s->target, target, w->keeps_target, e);
}

static int clean(const struct guard *g, const struct uninstall_wish *w, bool source, bool target)
{
    const struct config_sync *s = w->x->sync;
    struct error e;
    error_clear(&e);
    bool ok = look(w, source, target, &e);
    if (!ok && w->x->force) {
        error_print(&e);
        error_clear(&e);
        ok = true;
    }
    if (ok && g->can_mark && source)
        ok = mark(w->x, target, &e);
    if (ok)
        ok = (!source || uninstall_end(w, UNINSTALL_CLEANS, "source", s->source, &e)) &&
             (!target || uninstall_end(w, UNINSTALL_CLEANS, "target", s->target, &e));
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
    struct uninstall_wish w = {.x = g->x, .at_target = &g->at_target, .at_source = &g->at_source};
    struct error e;
    error_clear(&e);
    if (!client_run(&g->client, 0, &e)) {
        error_print(&e);
        if (!g->x->force && !g->is_held && source)
            fputs("rebeco: is the target gone for good? --only source --force cleans the source "
                  "without it\n",
                  stderr);
        if (!g->x->force)
            return g->is_held ? EXIT_HELD : EXIT_FAILED;
        fputs("rebeco: going on all the same, because of --force\n", stderr);
        g->can_mark = false;
    }
    w.consumer = g->consumer;
    w.keeps_source = g->keeps_source;
    w.keeps_target = g->keeps_target;
    return clean(g, &w, source, target);
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
    forget_position(&g.at_target);
    forget_position(&g.at_source);
    return code;
}
