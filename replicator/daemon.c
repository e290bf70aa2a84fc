/* The loop and its end. SIGTERM lets a batch that is being applied commit, for some seconds, and
 * then leaves: what is in hand is rolled back and made again at the next start, so leaving at any
 * moment is safe. A second SIGTERM leaves at once. */
#include "daemon.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "copier.h"
#include "exit_code.h"
#include "http.h"
#include "lead.h"
#include "log.h"
#include "log_write.h"
#include "steady.h"
#include "sync.h"
#include "two_way.h"

enum { LARGE_BYTES = 256 * 1024 };

#define GRACE_S 5.
#define GRACE_LOOK_S 0.02

static void leave(struct daemon *d, int code)
{
    d->exit_code = code;
    ev_break(d->loop, EVBREAK_ALL);
}

static bool is_committing(const struct daemon *d)
{
    for (const struct list *l = d->syncs.next; l != &d->syncs; l = l->next) {
        const struct sync *s = container_of(l, struct sync, in_daemon);

        if (job_is_at(&s->batch->job, "read") || job_is_at(&s->batch->job, "check") ||
            job_is_at(&s->batch->job, "flush") || job_is_at(&s->batch->job, "late") ||
            job_is_at(&s->batch->job, "commit"))
            return true;
    }
    return false;
}

/* Told to stop before --until was reached: a Job that is drained then must not count as done. */
static void leave_stopped(struct daemon *d)
{
    bool is_early = d->until != CONFIG_UNTIL_STOPPED;

    if (is_early)
        log_event(LOG_WARNING,
                  "stopped before what --until asked for was reached; the next run "
                  "goes on from here",
                  NULL);
    leave(d, is_early ? EXIT_FAILED : EXIT_DONE);
}

static void on_grace(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct daemon *d = container_of(w, struct daemon, grace);

    (void)loop;
    (void)events;
    if (!is_committing(d) || steady_now() > d->leave_by)
        leave_stopped(d);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *w, int events)
{
    struct daemon *d = w->data;

    (void)events;
    if (d->is_ending) { /* with its code; only hooks are not waited for */
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    if (++d->signals > 1) {
        leave_stopped(d);
        return;
    }
    log_event(LOG_NOTICE, "stopping: the batch in hand is ended first", NULL);
    d->leave_by = steady_now() + GRACE_S;
    ev_timer_set(&d->grace, 0., GRACE_LOOK_S);
    ev_timer_start(d->loop, &d->grace);
}

static bool has_reached(const struct sync *s, enum config_until until)
{
    switch (until) {
    case CONFIG_UNTIL_STOPPED:
        return false;
    case CONFIG_UNTIL_COPIED:
        return s->is_back || sync_is_copied(s);
    case CONFIG_UNTIL_IN_SYNC:
        return sync_is_in_sync(s);
    }
    return false;
}

/* What keeps all of the sync from going on; NULL: nothing, or single tables. */
static const struct error *trouble_of(const struct sync *s)
{
    bool schema_needs = false;
    const struct error *of_schema = NULL;

    if (error_is_set(&s->stopped))
        return &s->stopped;
    if (schema_copy_is_running(s->schema))
        of_schema = schema_copy_trouble(s->schema, &schema_needs);
    return schema_needs ? of_schema : NULL;
}

/* A Job must end with a code that says so when only a person can help. */
static bool needs_person(const struct sync *s)
{
    return trouble_of(s) || (s->is_led && sync_waits_for_person(s));
}

/* A pause that somebody forgot would keep a Job for ever. */
static bool is_held(const struct sync *s, enum config_until until)
{
    return s->is_led && sync_is_held_by_person(s) && !has_reached(s, until);
}

static void say_what_waits(const struct sync *s)
{
    bool is_paused = !needs_person(s);
    const struct error *trouble = trouble_of(s);

    if (trouble) { /* what `rebeco status` shows may be from before */
        log_error(LOG_ERROR, "cannot go on without a person", trouble, "sync", s->name, NULL);
        return;
    }
    log_event(LOG_ERROR,
              is_paused ? "cannot go on without a person: somebody has paused it"
                        : "cannot go on without a person: see `rebeco status`",
              "sync", s->name, "hint",
              is_paused ? "`rebeco status` says what is paused; `rebeco resume` lets it go on, "
                          "while a daemon runs or for the next one."
                        : NULL,
              NULL);
}

static void leave_to_person(struct daemon *d, const struct sync *s)
{
    say_what_waits(s);
    leave(d, EXIT_PERSON);
}

/* Those who watch from outside are told first. */
static void tell(struct daemon *d)
{
    for (struct list *l = d->syncs.next; l != &d->syncs; l = l->next)
        hooks_look(container_of(l, struct sync, in_daemon));
    notify_look(&d->notify);
}

void daemon_consider(struct daemon *d)
{
    bool all = true;

    tell(d);
    if (d->until == CONFIG_UNTIL_STOPPED || d->signals > 0)
        return;
    for (const struct list *l = d->syncs.next; l != &d->syncs; l = l->next) {
        const struct sync *s = container_of(l, struct sync, in_daemon);

        if (needs_person(s) || is_held(s, d->until)) {
            leave_to_person(d, s);
            return;
        }
        all &= has_reached(s, d->until);
    }
    if (all) {
        log_event(LOG_NOTICE, "what --until asked for is reached", NULL);
        leave(d, EXIT_DONE);
    }
}

void daemon_misconfigured(struct daemon *d, const struct error *e)
{
    log_error(LOG_ERROR, "the configuration does not fit the source", e, NULL);
    leave(d, EXIT_USAGE);
}

void daemon_copier_over(struct daemon *d)
{
    for (const struct list *l = d->syncs.next; l != &d->syncs; l = l->next)
        if (!container_of(l, struct sync, in_daemon)->copier->is_over)
            return;
    leave(d, EXIT_DONE);
}

void daemon_sync_held(struct daemon *d, struct sync *s)
{
    (void)s;
    leave(d, EXIT_HELD);
}

/* The way back of a two-way sync; it is started by the sync itself. */
static void add_back(struct daemon *d, struct sync *forward)
{
    struct config_sync *c = two_way_config_back(d->config, forward->config);
    struct sync *back = sync_new(d, d->loop, c);

    list_append(&d->syncs, &back->in_daemon);
    two_way_join(forward, back);
}

static void add_sync(struct daemon *d, const struct config_sync *c)
{
    struct sync *s = sync_new(d, d->loop, c);

    list_append(&d->syncs, &s->in_daemon);
    if (c->mode == CONFIG_TWO_WAY)
        add_back(d, s);
}

static void start_syncs(struct daemon *d)
{
    for (struct list *l = d->config->syncs.next; l != &d->config->syncs; l = l->next) {
        struct config_sync *c = container_of(l, struct config_sync, in_config);

        if (d->only && strcmp(d->only, c->name) != 0)
            continue;
        add_sync(d, c);
    }
    for (struct list *l = d->syncs.next; l != &d->syncs; l = l->next)
        if (!container_of(l, struct sync, in_daemon)->is_back)
            sync_start(container_of(l, struct sync, in_daemon));
}

static void end_syncs(struct daemon *d)
{
    while (!list_is_empty(&d->syncs)) {
        struct sync *s = container_of(d->syncs.next, struct sync, in_daemon);

        hooks_sync_ends(s);
        sync_free(s);
    }
}

/* Starting again with the new configuration is as safe as any other start. */
static void on_hangup(struct ev_loop *loop, struct ev_signal *w, int events)
{
    struct daemon *d = w->data;
    struct config *fresh;
    struct error e = {0};

    (void)loop;
    (void)events;
    if (d->is_ending)
        return;
    fresh = config_load(d->arguments, &e);
    if (fresh == NULL) {
        log_error(LOG_ERROR, "the configuration cannot be read again; the old one stays", &e, NULL);
        return;
    }
    log_event(LOG_NOTICE, "configuration read again", NULL);
    end_syncs(d);
    config_free(d->reloaded);
    d->reloaded = fresh;
    d->config = fresh;
    log_setup(fresh->log_format, fresh->log_level);
    start_syncs(d);
    hooks_start(&d->hooks);
    http_configure(d->http);
}

static void watch_signal(struct daemon *d, struct ev_signal *w, int signal_number,
                         void (*on)(struct ev_loop *, struct ev_signal *, int))
{
    ev_signal_init(w, on, signal_number);
    w->data = d;
    ev_signal_start(d->loop, w);
}

void daemon_keep_hangup(bool keep)
{
    sigset_t hangup;

    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    sigprocmask(keep ? SIG_BLOCK : SIG_UNBLOCK, &hangup, NULL);
}

/* A large row's memory goes back to the system when it is freed, and not into a heap that stays. */
static void return_large_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
}

int daemon_run(struct config *c, const struct config_arguments *arguments,
               const struct daemon_wish *wish)
{
    struct daemon d = {.config = c,
                       .arguments = arguments,
                       .only = arguments->sync,
                       .until = wish->until,
                       .is_standby = wish->is_standby,
                       .is_copier = wish->is_copier,
                       .exit_code = EXIT_FAILED};

    return_large_memory();
    log_write_waits(false);
    signal(SIGPIPE, SIG_IGN);
    d.loop = job_loop();
    list_init(&d.syncs);
    ev_init(&d.grace, on_grace);
    watch_signal(&d, &d.term, SIGTERM, on_signal);
    watch_signal(&d, &d.interrupt, SIGINT, on_signal);
    watch_signal(&d, &d.hangup, SIGHUP, on_hangup);
    daemon_keep_hangup(false);
    hooks_init(&d.hooks, &d);
    notify_init(&d.notify, &d);
    start_syncs(&d);
    hooks_start(&d.hooks);
    d.started_at = steady_now();
    d.http = http_new(&d);
    notify_ready(&d.notify);
    ev_run(d.loop, 0);
    notify_stopping(&d.notify);
    http_free(d.http);
    end_syncs(&d);
    ev_timer_stop(d.loop, &d.grace);
    hooks_finish(&d.hooks, d.exit_code);
    hooks_fini(&d.hooks);
    notify_fini(&d.notify);
    ev_signal_stop(d.loop, &d.term);
    ev_signal_stop(d.loop, &d.interrupt);
    ev_signal_stop(d.loop, &d.hangup);
    ev_loop_destroy(d.loop);
    log_forget();
    log_write_waits(true);
    config_free(d.reloaded);
    return d.exit_code;
}
