/* A job asked every ten seconds on a connection of its own to the source. A
 * warning is said once each time that the limit is passed. */
#include "log_watch.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "sync.h"

#define EVERY_S 10.

static enum job_next take_total(struct job *j, PGresult *r)
{
    struct sync *s = j->sync;

    j->failures = 0;
    if (PQntuples(r) == 0)
        return job_goto(j, "wait");
    s->log_bytes = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    free(s->log_held_by);
    s->log_held_by = PQgetisnull(r, 0, 1) ? NULL : mem_strdup(PQgetvalue(r, 0, 1));
    s->log_held_s = strtoll(PQgetvalue(r, 0, 2), NULL, 10);
    return s->log_bytes > 0 ? JOB_NEXT : job_goto(j, "wait");
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

    free(s->log_slowest);
    s->log_slowest = any ? mem_strdup(PQgetvalue(r, 0, 0)) : NULL;
    s->log_is_namesakes = any && PQgetvalue(r, 0, 3)[0] == 't';
    s->log_slowest_s = any ? strtoll(PQgetvalue(r, 0, 1), NULL, 10) : 0;
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
    {.name = "log total", .sql = &sql_log_total, .side = JOB_SOURCE, .result = take_total},
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
