/* A job asked every ten seconds on a connection of its own to the source. A
 * warning is said once each time that the limit is passed. */
#include "log_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "log.h"
#include "sync.h"

#define EVERY_S 10.

static void forget_slowest(struct sync *s)
{
    free(s->log_slowest);
    s->log_slowest = NULL;
    s->log_slowest_s = 0;
    s->log_is_namesakes = false;
}

static struct log_watch *watch_of(struct job *j)
{
    return container_of(j, struct log_watch, job);
}

static void bind_total(struct job *j, struct params *p)
{
    params_text(p, watch_of(j)->moment);
}

static enum job_next take_total(struct job *j, PGresult *r)
{
    struct log_watch *w = watch_of(j);
    struct sync *s = j->sync;

    j->failures = 0;
    snprintf(w->moment, sizeof w->moment, "%s", field_text(r, 0, "moment"));
    if (!field_is_null(r, 0, "bytes"))
        s->log_bytes = field_int64(r, 0, "bytes");
    free(s->log_held_by);
    s->log_held_by = mem_strdup(field_or_null(r, 0, "held_by"));
    s->log_held_s = field_int64(r, 0, "held_s");
    if (s->log_bytes > 0)
        return JOB_NEXT;
    forget_slowest(s); /* they are kept for nobody */
    s->log_is_above = false;
    return job_goto(j, "wait");
}

static const char *how_to_free(const struct sync *s)
{
    if (direction_is_closed(s))
        return "Changes are kept as long as their direction is closed: `rebeco direction both` "
               "has them sent.";
    if (s->log_is_namesakes)
        return LOG_WATCH_NAMESAKE;
    if (s->log_slowest && strcmp(s->log_slowest, s->name) != 0)
        return "They are kept until the slowest sync has them. Start its daemon, or give "
               "that sync up: rebeco --sync NAME uninstall --only source.";
    return "They are emptied when the target has the changes and no old transaction "
           "is open. If the target stays away: rebeco uninstall --only source frees "
           "the space.";
}

static void warn_of_limit(struct sync *s)
{
    log_event(LOG_WARNING, "the change logs at the source grow beyond their limit", "sync", s->name,
              "bytes", log_int(s->log_bytes), "limit", log_int(s->config->log_limit_bytes),
              "held_by", s->log_held_by, "slowest_sync", s->log_slowest, "behind_s",
              s->log_slowest ? log_int(s->log_slowest_s) : NULL, "hint", how_to_free(s), NULL);
}

static void bind_slowest(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
    params_text(p, j->sync->name);
}

/* Said when it is known who is waited for. */
static enum job_next take_slowest(struct job *j, PGresult *r)
{
    struct sync *s = j->sync;
    bool any = PQntuples(r) > 0;

    forget_slowest(s);
    if (any) {
        s->log_slowest = mem_strdup(field_text(r, 0, "sync"));
        s->log_is_namesakes = field_bool(r, 0, "is_namesake");
        s->log_slowest_s = field_int64(r, 0, "behind_s");
    }
    if (s->log_bytes > s->config->log_limit_bytes && !s->log_is_above)
        warn_of_limit(s);
    s->log_is_above = s->log_bytes > s->config->log_limit_bytes;
    return JOB_NEXT;
}

static enum job_next enter_wait(struct job *j)
{
    return job_sleep(j, EVERY_S, job_goto(j, "log total"));
}

static const struct job_step steps[] = {
    {.name = "log total",
     .sql = &sql_log_total,
     .side = JOB_SOURCE,
     .bind = bind_total,
     .result = take_total},
    {.name = "slowest",
     .sql = &sql_log_slowest,
     .side = JOB_SOURCE,
     .bind = bind_slowest,
     .result = take_slowest},
    {.name = "wait", .enter = enter_wait},
    {0},
};

static const struct job_type log_watch_type = {
    .name = "log watch",
    .uses = {true, false},
    .steps = steps,
};

void log_watch_init(struct log_watch *w, struct sync *s)
{
    job_init(&w->job, s->loop, &log_watch_type, s, s->config->source, NULL);
}

void log_watch_start(struct log_watch *w)
{
    if (!job_is_running(&w->job))
        job_start(&w->job);
}

void log_watch_fini(struct log_watch *w)
{
    job_fini(&w->job);
}
