/* When materialized views are refreshed, and the steps of a run.
 *
 * What is always true: between two runs the timer `due` stands for the next one, when there will be
 * one; a change that is not yet in the data of a materialized view is in `changed`, in changed_text
 * or in has_changed. A change is announced after it was committed, and has_changed is cleared
 * before the refresh begins, so none is lost; a refresh too many is the worst that can happen. */
#include "matview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "field.h"
#include "log.h"
#include "sqlstate.h"
#include "steady.h"
#include "sync.h"

#define ON_CHANGE_LEAST_S                                                                          \
    30.                   /* between two refreshes on change, when no schedule says otherwise      \
                           */
#define LOOK_LEAST_S 5.   /* between two looks at whom a change touches */
#define RETRY_FIRST_S 30. /* doubles with each failure, */
#define RETRY_MAX_S 600.  /* up to this */
#define SLACK_S 0.01      /* timers are not exact */
#define PAUSED_S 0.5      /* between two looks whether the sync still is */
#define NEVER 1e100

static struct matview_job *of(struct job *j)
{
    return container_of(j, struct matview_job, job);
}

static struct matview *view_at(struct list *l)
{
    return container_of(l, struct matview, in_job);
}

static void view_free(struct matview *v)
{
    list_remove(&v->in_job);
    free(v->relid);
    free(v->label);
    free(v->refresh);
    free(v);
}

/* ------------------------------------------------------------------ when */

static double least_s(const struct config_sync *c)
{
    return c->matview_every_s > 0 ? c->matview_every_s : ON_CHANGE_LEAST_S;
}

static double retry_s(const struct config_sync *c, int failures)
{
    double s = least_s(c) < RETRY_FIRST_S ? least_s(c) : RETRY_FIRST_S;

    for (int i = 1; i < failures && s < RETRY_MAX_S; i++)
        s *= 2;
    return s < RETRY_MAX_S ? s : RETRY_MAX_S;
}

static double view_due_at(const struct matview_job *m, const struct matview *v)
{
    const struct config_sync *c = m->job.sync->config;

    if (v->failures > 0)
        return v->retry_at;
    if (!v->is_refreshed && c->matview_initial)
        return 0;
    if (c->matview_on_change ? !v->has_changed : c->matview_every_s <= 0)
        return NEVER;
    /* One that takes longer than its interval rests as long as it took. */
    return v->refreshed_at + (least_s(c) > 2 * v->took_s ? least_s(c) : 2 * v->took_s);
}

/* When somebody should look at the list again: changes came, and we do not know whom they touch. */
static double look_due_at(const struct matview_job *m)
{
    double least = least_s(m->job.sync->config);

    if (!m->has_changes && !m->has_taken)
        return NEVER;
    return m->listed_at + (least < LOOK_LEAST_S ? least : LOOK_LEAST_S);
}

static double next_due_at(struct matview_job *m)
{
    const struct config_sync *c = m->job.sync->config;
    double at = look_due_at(m);

    if (!m->is_on || !(c->matview_initial || c->matview_on_change || c->matview_every_s > 0))
        return NEVER;
    if (m->listed_at == 0)
        return 0;
    /* New ones are found by the schedule too, when there is none yet. */
    if (c->matview_every_s > 0 && m->listed_at + c->matview_every_s < at && !c->matview_on_change)
        at = m->listed_at + c->matview_every_s;
    for (struct list *l = m->views.next; l != &m->views; l = l->next)
        if (view_due_at(m, view_at(l)) < at)
            at = view_due_at(m, view_at(l));
    return at;
}

/* Sets the timer for the next run, if no run goes on. */
static void arm(struct matview_job *m)
{
    struct ev_loop *loop = m->job.loop;
    double at = next_due_at(m);
    double now = steady_now();

    ev_timer_stop(loop, &m->due);
    if (job_is_running(&m->job) || at >= NEVER)
        return;
    ev_timer_set(&m->due, at > now ? at - now : 0., 0.);
    ev_timer_start(loop, &m->due);
}

static void on_due(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct matview_job *m = container_of(w, struct matview_job, due);

    (void)events;
    if (m->job.sync->is_paused) {
        ev_timer_set(w, PAUSED_S, 0.);
        ev_timer_start(loop, w);
        return;
    }
    job_start(&m->job);
}

/* ------------------------------------------------------------------ changes */

void matview_table_changed(struct matview_job *m, int table_id)
{
    int byte = table_id / 8;
    int size = m->changed_size;

    if (table_id < 0 || !m->job.sync->config->matview_on_change)
        return;
    if (byte >= size) {
        m->changed_size = byte + 64;
        m->changed = mem_realloc(m->changed, (size_t)m->changed_size);
        memset(m->changed + size, 0, (size_t)(m->changed_size - size));
    }
    m->changed[byte] |= (unsigned char)(1u << (table_id % 8));
    if (m->has_changes)
        return;
    m->has_changes = true;
    arm(m);
}

/* Moves the bits into the text that the server gets; a run that failed has left its own there. */
static void take_changes(struct matview_job *m)
{
    struct buf *b = &m->changed_text;

    if (m->has_taken)
        b->len--; /* the closing brace */
    else
        buf_clear(b, 4096);
    if (!m->has_taken)
        buf_text(b, "{");
    for (int id = 0; id < m->changed_size * 8; id++)
        if (m->changed[id / 8] & (1u << (id % 8)))
            buf_printf(b, "%s%d", b->len > 1 ? "," : "", id);
    buf_text(b, "}");
    if (m->changed)
        memset(m->changed, 0, (size_t)m->changed_size);
    m->has_taken = b->len > 2;
    m->has_changes = false;
}

/* ------------------------------------------------------------------ the list */

static void bind_list(struct job *j, struct params *p)
{
    struct matview_job *m = of(j);

    take_changes(m);
    params_text(p, j->sync->name);
    params_text(p, m->changed_text.data);
}

static struct matview *find(struct matview_job *m, const char *relid)
{
    for (struct list *l = m->views.next; l != &m->views; l = l->next)
        if (strcmp(view_at(l)->relid, relid) == 0)
            return view_at(l);
    return NULL;
}

static void set_string(char **place, const char *text)
{
    free(*place);
    *place = mem_strdup(text);
}

static struct matview *view_new(struct matview_job *m, const PGresult *r, int row)
{
    struct matview *v = mem_alloc(sizeof *v);
    double now = steady_now();

    list_init(&v->in_job);
    v->relid = mem_strdup(field_text(r, row, "relid"));
    v->is_refreshed = !field_is_null(r, row, "refreshed_s");
    v->refreshed_at = v->is_refreshed ? now - field_double(r, row, "refreshed_s") : m->started_at;
    /* What happened before this process began is told by the times kept at the target. */
    v->has_changed = field_bool(r, row, "stale");
    return v;
}

static void take_row(struct matview_job *m, const PGresult *r, int row)
{
    struct matview *v = find(m, field_text(r, row, "relid"));

    if (v == NULL)
        v = view_new(m, r, row);
    set_string(&v->label, field_text(r, row, "label"));
    set_string(&v->refresh, field_text(r, row, "refresh"));
    v->has_changed |= field_bool(r, row, "changed");
    v->is_listed = true;
    list_remove(&v->in_job);
    list_append(&m->views, &v->in_job);
}

static void drop_unlisted(struct matview_job *m)
{
    struct list *next;

    for (struct list *l = m->views.next; l != &m->views; l = next) {
        next = l->next;
        if (!view_at(l)->is_listed)
            view_free(view_at(l));
    }
}

static void count_views(struct matview_job *m)
{
    m->count = 0;
    m->failing = 0;
    for (struct list *l = m->views.next; l != &m->views; l = l->next) {
        m->count++;
        m->failing += view_at(l)->failures > 0;
    }
}

static enum job_next take_list(struct job *j, PGresult *r)
{
    struct matview_job *m = of(j);

    for (struct list *l = m->views.next; l != &m->views; l = l->next)
        view_at(l)->is_listed = false;
    for (int row = 0; row < PQntuples(r); row++)
        take_row(m, r, row);
    drop_unlisted(m);
    count_views(m);
    m->has_taken = false;
    m->listed_at = steady_now();
    for (struct list *l = m->views.next; l != &m->views; l = l->next)
        view_at(l)->is_due = m->is_on && view_due_at(m, view_at(l)) <= m->listed_at + SLACK_S;
    return JOB_NEXT;
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

/* ------------------------------------------------------------------ refreshing */

static enum job_next choose(struct job *j)
{
    struct matview_job *m = of(j);

    for (struct list *l = m->views.next; l != &m->views; l = l->next) {
        m->current = view_at(l);
        if (m->current->is_due)
            return JOB_NEXT;
    }
    m->current = NULL;
    return JOB_DONE;
}

static enum job_next begin_refresh(struct job *j)
{
    struct matview_job *m = of(j);
    struct matview *v = m->current;

    v->is_due = false;
    v->has_changed = false;
    error_clear(&m->failure);
    m->began_at = steady_now();
    conn_query(job_conn(j, JOB_TARGET), v->refresh, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

/* A refresh that the server refused is the view's trouble; one whose server goes down is not. */
static enum job_next refresh_event(struct job *j, enum job_side side, const struct conn_message *e)
{
    struct matview_job *m = of(j);

    if (e->event == CONN_DONE)
        return JOB_NEXT;
    if (e->event != CONN_RESULT || !job_result_failed(e->result))
        return JOB_WAIT;
    conn_result_error(job_conn(j, side), e->result, &m->failure);
    if (sqlstate_action(m->failure.sqlstate) != SQLSTATE_RECONNECT)
        return JOB_WAIT;
    return job_fail(j, &m->failure);
}

static void bind_record(struct job *j, struct params *p)
{
    struct matview_job *m = of(j);
    struct error *e = &m->failure;
    char seconds[32];

    snprintf(seconds, sizeof seconds, "%.3f", steady_now() - m->began_at);
    params_text(p, j->sync->name);
    params_text(p, m->current->relid);
    params_text(p, m->current->label);
    params_text(p, arena_strdup(j->arena, seconds));
    params_text(p, !error_is_set(e) ? NULL
                   : e->detail[0]   ? arena_printf(j->arena, "%s (%s)", e->what, e->detail)
                                    : e->what);
    params_text(p, error_is_set(e) && e->hint[0] ? e->hint : NULL);
}

static void note_failure(struct matview_job *m, struct matview *v)
{
    const char *name = m->job.sync->name;
    double pause_s = retry_s(m->job.sync->config, ++v->failures);

    v->has_changed = true;
    v->retry_at = steady_now() + pause_s;
    log_error(LOG_WARNING, "materialized view not refreshed", &m->failure, "sync", name, "object",
              v->label, "again_in_s", log_seconds(pause_s), NULL);
}

/* Others may have failed only because this one had no data: they need not wait any longer. */
static void wake_failing(struct matview_job *m, struct matview *mended)
{
    for (struct list *l = mended->in_job.next; l != &m->views; l = l->next)
        if (view_at(l)->failures > 0)
            view_at(l)->is_due = true;
}

static void note_success(struct matview_job *m, struct matview *v)
{
    bool was_failing = v->failures > 0;

    v->failures = 0;
    v->is_refreshed = true;
    v->refreshed_at = m->began_at;
    v->took_s = steady_now() - m->began_at;
    m->job.failures = 0;
    log_event(was_failing ? LOG_INFO : LOG_DEBUG, "materialized view refreshed", "sync",
              m->job.sync->name, "object", v->label, "seconds", log_seconds(v->took_s), NULL);
    if (was_failing)
        wake_failing(m, v);
}

static enum job_next take_record(struct job *j, PGresult *r)
{
    struct matview_job *m = of(j);

    (void)r;
    if (error_is_set(&m->failure))
        note_failure(m, m->current);
    else
        note_success(m, m->current);
    count_views(m);
    return job_goto(j, "choose");
}

static const struct job_step steps[] = {
    {.name = "settings", .sql = &sql_matview_settings, .side = JOB_TARGET},
    {.name = "list",
     .sql = &sql_matview_list,
     .side = JOB_TARGET,
     .bind = bind_list,
     .result = take_list},
    {.name = "forget", .sql = &sql_matview_forget, .side = JOB_TARGET, .bind = bind_sync},
    {.name = "choose", .enter = choose},
    {.name = "refresh", .enter = begin_refresh, .event = refresh_event},
    {.name = "record",
     .sql = &sql_matview_record,
     .side = JOB_TARGET,
     .bind = bind_record,
     .result = take_record},
    {.name = NULL},
};

static void begin(struct job *j)
{
    of(j)->current = NULL;
}

/* What was being refreshed is not. */
static bool failed(struct job *j, const struct error *e)
{
    struct matview *v = of(j)->current;

    (void)e;
    if (v)
        v->has_changed = true;
    return true;
}

static void ended(struct job *j, bool finished)
{
    (void)finished;
    arm(of(j));
    sync_think(j->sync); /* all views may be as they are to be at the end; it may stop the job */
}

static const struct job_type type = {
    .name = "materialized views",
    .uses = {[JOB_TARGET] = true},
    .steps = steps,
    .begin = begin,
    .failed = failed,
    .ended = ended,
};

/* ------------------------------------------------------------------ life */

void matview_init(struct matview_job *m, struct sync *sync)
{
    memset(m, 0, sizeof *m);
    job_init(&m->job, sync->loop, &type, sync, NULL, sync->config->target);
    list_init(&m->views);
    buf_init(&m->changed_text);
    ev_init(&m->due, on_due);
}

void matview_start(struct matview_job *m)
{
    if (m->is_on)
        return;
    m->is_on = true;
    m->started_at = steady_now();
    arm(m);
}

void matview_stop(struct matview_job *m)
{
    m->is_on = false;
    m->listed_at = 0;
    m->has_changes = false;
    m->has_taken = false;
    job_stop(&m->job);
    ev_timer_stop(m->job.loop, &m->due);
    while (!list_is_empty(&m->views))
        view_free(view_at(m->views.next));
    if (m->changed)
        memset(m->changed, 0, (size_t)m->changed_size);
}

void matview_fini(struct matview_job *m)
{
    matview_stop(m);
    job_fini(&m->job);
    buf_fini(&m->changed_text);
    free(m->changed);
}
