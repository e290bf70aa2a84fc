/* What happens is noted in a short queue, and one child process at a time takes it from there. A
 * hook that fails or takes too long is logged, and not tried again.
 *
 * At the end of the daemon what waits is told for as long as one hook may take, all of it together:
 * whoever has sent SIGTERM sends SIGKILL next. Then only the end itself is told. */
#include "hooks.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batch.h"
#include "daemon.h"
#include "log.h"
#include "status.h"
#include "steady.h"
#include "sync.h"
#include "words.h"

#define LOOK_S 1. /* for lag and conflicts; only when a hook asks for them */

enum { WAITING_MAX = 100, OUTPUT_MAX = 4096 };

struct hook_note {
    struct list in_hooks;
    enum hook_event event;
    char *text; /* JSON */
};

_Static_assert((int)HOOK_EVENTS == (int)CONFIG_HOOKS, "one command for each event");

static const char *const names[HOOK_EVENTS] = {"copied",   "in-sync", "drift",  "lag",
                                               "conflict", "error",   "stopped"};

static const char *command_of(const struct hooks *h, enum hook_event event)
{
    return h->daemon->config->hooks[event];
}

/* ------------------------------------------------------------------ telling */

static void drop_first(struct hooks *h)
{
    struct hook_note *n = container_of(h->waiting.next, struct hook_note, in_hooks);

    list_remove(&n->in_hooks);
    h->count--;
    free(n->text);
    free(n);
}

static bool tell(struct hooks *h, const struct hook_note *n, struct error *e)
{
    struct arena *a = arena_new();
    struct child_program p = {.files = {-1, -1},
                              .output_file = -1,
                              .input = n->text,
                              .output_max = OUTPUT_MAX,
                              .timeout_s = h->daemon->config->hooks_timeout_s};
    bool is_started;

    p.arguments = words_split(a, command_of(h, n->event), e);
    p.path = p.arguments ? words_program(a, p.arguments[0], e) : NULL;
    is_started = p.path && child_start(&h->child, &p, e);
    arena_free(a);
    return is_started;
}

static void tell_next(struct hooks *h)
{
    while (!child_is_running(&h->child) && !list_is_empty(&h->waiting)) {
        struct hook_note *n = container_of(h->waiting.next, struct hook_note, in_hooks);
        struct error e = {0};

        if (command_of(h, n->event) && !tell(h, n, &e))
            log_error(LOG_WARNING, "hook could not be run", &e, "hook", names[n->event], NULL);
        drop_first(h);
    }
}

static void on_ended(struct child *c)
{
    struct hooks *h = c->owner;
    struct error e = {0};

    if (!child_is_success(c)) {
        child_error(c, &e, "a hook failed");
        log_error(LOG_WARNING, "hook failed", &e, NULL);
    }
    tell_next(h);
    if (h->daemon->is_ending && !child_is_running(c))
        ev_break(h->daemon->loop, EVBREAK_ALL);
}

static void add_text(json_t *o, const char *key, const char *text)
{
    if (text && text[0])
        json_object_set_new(o, key, json_string(text));
}

static void add_time(json_t *o)
{
    char text[40];
    time_t now = time(NULL);
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_object_set_new(o, "at", json_string(text));
}

/* Takes over `more`, which has what belongs to the event. */
static void note(struct hooks *h, enum hook_event event, const struct sync *s, json_t *more)
{
    struct hook_note *n;
    json_t *o = json_object();

    json_object_set_new(o, "event", json_string(names[event]));
    add_text(o, "sync", s ? s->name : NULL);
    add_time(o);
    json_object_update(o, more);
    json_decref(more);
    if (command_of(h, event) == NULL || h->count >= WAITING_MAX) {
        json_decref(o);
        return;
    }
    n = mem_alloc(sizeof *n);
    n->event = event;
    n->text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    list_append(&h->waiting, &n->in_hooks);
    h->count++;
    tell_next(h);
}

static json_t *error_tree(const struct error *e)
{
    json_t *o = json_object();

    add_text(o, "what", e->what);
    add_text(o, "detail", e->detail);
    add_text(o, "hint", e->hint);
    add_text(o, "sqlstate", e->sqlstate);
    return o;
}

/* ------------------------------------------------------------------ what is told */

void hooks_table_paused(const struct table *t)
{
    json_t *o;

    if (t->pause != TABLE_DRIFT && t->pause != TABLE_ERROR)
        return;
    o = error_tree(&t->why);
    add_text(o, "table", t->label);
    note(&t->sync->daemon->hooks, t->pause == TABLE_DRIFT ? HOOK_DRIFT : HOOK_ERROR, t->sync, o);
}

/* Whether large objects are there is not known at once after a start: that alone is no copy. */
static void look_at_copy(struct hooks *h, struct sync *s)
{
    bool is_copied = sync_is_copied(s);

    if (s->marks.was_copying && is_copied)
        note(h, HOOK_COPIED, s, json_pack("{s:i}", "tables", s->table_count));
    if (is_copied)
        s->marks.was_copying = false;
    else if (s->is_led && !sync_has_all_tables(s))
        s->marks.was_copying = true;
}

/* One note for all since the last one: there may be thousands in a second. */
static void tell_conflicts(struct hooks *h, struct sync *s)
{
    json_t *tables;
    int64_t all = s->batch->conflicts - s->marks.conflicts_told;

    if (all == 0)
        return;
    tables = json_object();
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);
        int64_t fresh = t->conflicts - t->conflicts_told;

        if (fresh == 0)
            continue;
        json_object_set_new(tables, t->label, json_integer(fresh));
        t->conflicts_told = t->conflicts;
    }
    s->marks.conflicts_told = s->batch->conflicts;
    s->marks.conflicts_at = steady_now();
    note(h, HOOK_CONFLICT, s,
         json_pack("{s:I, s:o}", "conflicts", (json_int_t)all, "tables", tables));
}

static void look_at_conflicts(struct hooks *h, struct sync *s)
{
    if (steady_now() - s->marks.conflicts_at >= LOOK_S)
        tell_conflicts(h, s);
}

void hooks_sync_ends(struct sync *s)
{
    tell_conflicts(&s->daemon->hooks, s);
}

void hooks_look(struct sync *s)
{
    struct hooks *h = &s->daemon->hooks;
    bool is_in_sync = sync_is_in_sync(s);
    bool is_stopped = error_is_set(&s->stopped);

    look_at_copy(h, s);
    look_at_conflicts(h, s);
    if (is_in_sync && !s->marks.is_in_sync)
        note(h, HOOK_IN_SYNC, s, json_object());
    if (s->is_led)
        s->marks.is_in_sync = is_in_sync;
    if (is_stopped && !s->marks.is_stopped)
        note(h, HOOK_ERROR, s, error_tree(&s->stopped));
    s->marks.is_stopped = is_stopped;
}

static void look_at_lag(struct hooks *h, struct sync *s)
{
    double limit = h->daemon->config->hooks_lag_limit_s;
    double lag_s = status_lag_s(s, steady_now());

    if (lag_s < 0)
        return;
    if (lag_s > limit && !s->marks.is_lagging)
        note(h, HOOK_LAG, s, json_pack("{s:f, s:f}", "lag_s", lag_s, "limit_s", limit));
    s->marks.is_lagging = lag_s > limit;
}

static void look_at(struct hooks *h, struct sync *s)
{
    look_at_lag(h, s);
    look_at_conflicts(h, s);
}

static void on_look(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct hooks *h = container_of(w, struct hooks, look);

    (void)loop;
    (void)events;
    for (struct list *l = h->daemon->syncs.next; l != &h->daemon->syncs; l = l->next)
        look_at(h, container_of(l, struct sync, in_daemon));
}

/* ------------------------------------------------------------------ life */

static bool is_of_the_end(const struct list *l)
{
    return container_of(l, struct hook_note, in_hooks)->event == HOOK_STOPPED;
}

static void on_patience(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct hooks *h = container_of(w, struct hooks, patience);
    int left_out = 0;

    (void)events;
    if (list_is_empty(&h->waiting)) /* the one that runs has a deadline of its own */
        return;
    for (; !list_is_empty(&h->waiting) && !is_of_the_end(h->waiting.next); left_out++)
        drop_first(h);
    log_event(LOG_WARNING, "the hooks take too long: not all are told before the end", "left_out",
              log_int(left_out), NULL);
    child_stop(&h->child);
    tell_next(h);
    if (!child_is_running(&h->child))
        ev_break(loop, EVBREAK_ALL);
}

void hooks_init(struct hooks *h, struct daemon *d)
{
    memset(h, 0, sizeof *h);
    h->daemon = d;
    list_init(&h->waiting);
    child_init(&h->child, d->loop, on_ended, h);
    ev_timer_init(&h->look, on_look, LOOK_S, LOOK_S);
    ev_init(&h->patience, on_patience);
}

void hooks_start(struct hooks *h)
{
    ev_timer_stop(h->daemon->loop, &h->look);
    if (command_of(h, HOOK_LAG) || command_of(h, HOOK_CONFLICT))
        ev_timer_again(h->daemon->loop, &h->look);
}

void hooks_finish(struct hooks *h, int exit_code)
{
    struct ev_loop *loop = h->daemon->loop;

    ev_timer_stop(loop, &h->look);
    note(h, HOOK_STOPPED, NULL, json_pack("{s:i}", "exit_code", exit_code));
    h->daemon->is_ending = true;
    ev_timer_set(&h->patience, h->daemon->config->hooks_timeout_s, 0.);
    ev_timer_start(loop, &h->patience);
    if (child_is_running(&h->child))
        ev_run(loop, 0);
    ev_timer_stop(loop, &h->patience);
}

void hooks_fini(struct hooks *h)
{
    ev_timer_stop(h->daemon->loop, &h->look);
    while (!list_is_empty(&h->waiting))
        drop_first(h);
    child_fini(&h->child);
}
