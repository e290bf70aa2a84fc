/* What the target knows of a sync's tables and what the configuration asks for, read at each start
 * of the leading job, and what becomes of rows that the target refuses. */
#include "lead_steps.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "config_rules.h"
#include "copy_steps.h"
#include "daemon.h"
#include "field.h"
#include "log.h"
#include "shaping.h"
#include "skip.h"
#include "two_way.h"
#include "upkeep.h"

#define CATALOG_TIMEOUT_S 60.

/* ------------------------------------------------------------------ tables */

void table_set_layouts(struct table *t, const char *source, const char *target)
{
    free(t->layout);
    free(t->target_layout);
    t->layout = mem_strdup(source);
    t->target_layout = mem_strdup(target);
}

void table_set_names(struct table *t, const char *const names[4])
{
    for (int i = 0; i < 4; i++) {
        free(t->names[i]);
        t->names[i] = mem_strdup(names[i]);
    }
}

void lead_note_definition(struct table *t)
{
    table_set_layouts(t, t->source->layout, t->target->layout);
    table_set_names(t, (const char *const[4]){t->source->schema, t->source->name, t->target->schema,
                                              t->target->name});
}

bool table_has_names(const struct table *t, const struct relation *source,
                     const struct relation *target)
{
    const char *const now[] = {source->schema, source->name, target->schema, target->name};

    for (int i = 0; i < 4; i++)
        if (t->names[i] && strcmp(t->names[i], now[i]) != 0)
            return false;
    return true;
}

void table_set_snapshot(struct table *t, const char *snapshot)
{
    free(t->snapshot);
    t->snapshot = mem_strdup(snapshot);
}

void table_set_back_since(struct table *t, const char *snapshot)
{
    free(t->back_since);
    t->back_since = mem_strdup(snapshot);
}

static enum table_pause pause_from_name(const char *name)
{
    for (int p = TABLE_USER; p <= TABLE_OTHER; p++)
        if (strcmp(table_pause_name((enum table_pause)p), name) == 0)
            return (enum table_pause)p;
    return TABLE_RUNS;
}

/* What the source says of its changes since is not enough: its rows are gone at the target. */
static void pause_as_emptied(struct table *t)
{
    struct error e = {0};

    error_set(&e, "the target has crashed, and that has emptied %s: it is unlogged there",
              t->label);
    two_way_say_ends(t->sync, e.what);
    if (t->sync->is_back)
        error_hint(&e,
                   "Bring its rows to the source again, as far as they are wanted. Then `rebeco "
                   "resync %s` copies it from there; what only the target has of it is lost then.",
                   t->label);
    else if (t->sync->other)
        error_hint(&e,
                   "`rebeco resync %s` copies it again from the source. To keep its rows over a "
                   "crash: ALTER TABLE %s SET LOGGED.",
                   t->label, t->label);
    else
        error_hint(&e,
                   "It is copied again by itself. To keep its rows over a crash, at the target: "
                   "ALTER TABLE %s SET LOGGED.",
                   t->label);
    t->is_lossy = true;
    table_pause(t, TABLE_CAPTURE, &e);
}

static void take_table(struct sync *s, const PGresult *r, int row)
{
    struct table *t = sync_table_new(s);

    t->id = field_int(r, row, "id");
    t->source_oid = (Oid)field_int64(r, row, "source_oid");
    t->label = arena_strdup(t->arena, field_text(r, row, "label"));
    table_set_names(t, (const char *const[4]){
                           field_text(r, row, "source_schema"), field_text(r, row, "source_name"),
                           field_text(r, row, "target_schema"), field_text(r, row, "target_name")});
    t->state = strcmp(field_text(r, row, "state"), "follow") == 0 ? TABLE_FOLLOW : TABLE_COPY;
    if (!field_is_null(r, row, "snapshot"))
        table_set_snapshot(t, field_text(r, row, "snapshot"));
    if (!field_is_null(r, row, "paused")) {
        t->pause = pause_from_name(field_text(r, row, "paused"));
        t->is_recorded = true;
        t->is_lossy = field_bool(r, row, "is_lossy");
        error_set(&t->why, "%s", field_text(r, row, "paused_what"));
        error_detail(&t->why, "%s", field_text(r, row, "paused_detail"));
        error_hint(&t->why, "%s", field_text(r, row, "paused_hint"));
        t->copy_is_asked = t->wants_copy = field_bool(r, row, "copy_asked");
        t->is_lossy |= t->wants_copy;
    }
    t->bytes = field_int64(r, row, "bytes");
    t->rows = field_int64(r, row, "rows");
    t->bytes_done = field_int64(r, row, "bytes_done");
    t->rows_done = field_int64(r, row, "rows_done");
    t->chunks = field_int(r, row, "chunks");
    t->chunks_done = field_int(r, row, "chunks_done");
    table_set_layouts(t, field_or_null(r, row, "layout"), field_or_null(r, row, "target_layout"));
    t->log = field_int64(r, row, "log");
    if (!field_is_null(r, row, "back_since"))
        table_set_back_since(t, field_text(r, row, "back_since"));
    /* The snapshot that the first chunks shared is gone. */
    t->tolerant =
        field_bool(r, row, "tolerant") || (t->chunks_done > 0 && t->chunks_done < t->chunks);
    if (field_bool(r, row, "is_emptied"))
        pause_as_emptied(t);
}

enum job_next lead_take_tables(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++)
        take_table(j->sync, r, i);
    j->sync->is_new = PQntuples(r) == 0;
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ what is asked for */

/* The first pattern that means no table, -1 for none. */
static int first_unused(const struct config_patterns *p, const PGresult *r)
{
    bool *used = mem_alloc(sizeof *used * (size_t)(p->count + 1));
    int unused = -1;

    for (int i = 0; i < PQntuples(r); i++)
        config_patterns_match(p, field_text(r, i, "schema"), field_text(r, i, "name"), used);
    for (int i = 0; i < p->count && unused < 0; i++)
        if (!used[i])
            unused = i;
    free(used);
    return unused;
}

/* A pattern that means no table is a mistake, and found before anything is touched; later a table
 * may come and go. To take everything of an empty database is none, unless an end is asked for:
 * that end would be reached at once, at the wrong database most likely. */
enum job_next lead_take_names(struct job *j, PGresult *r)
{
    const struct config_patterns *p = &j->sync->config->include;
    int unused = lead_of(j)->is_first ? first_unused(p, r) : -1;
    const struct config_rule *rule = shaping_unused(j->sync->config, r);
    const char *place;
    struct error e = {0};

    if (unused < 0 && lead_of(j)->is_first) {
        p = &j->sync->config->whole;
        unused = first_unused(p, r);
    }
    if (unused < 0 && lead_of(j)->is_first) {
        p = &j->sync->config->fire_triggers;
        unused = first_unused(p, r);
    }
    if (unused < 0 && lead_of(j)->is_first && j->sync->other) {
        p = &j->sync->config->merge;
        unused = first_unused(p, r);
    }
    if (!lead_of(j)->is_first || (unused < 0 && rule == NULL))
        return JOB_NEXT;
    if (unused >= 0 && p->places[unused] == NULL &&
        j->sync->daemon->until == CONFIG_UNTIL_STOPPED) {
        log_event(LOG_WARNING, "the source has no tables", "sync", j->sync->name, "hint",
                  "Is it the right database? New tables are taken in as they come.", NULL);
        return JOB_NEXT;
    }
    place = unused >= 0 ? p->places[unused] : rule->place;
    error_set(&e, "no table at the source is meant by %s",
              unused >= 0 ? p->texts[unused] : rule->pattern);
    error_hint(&e, "%s",
               place ? "Mend the pattern, or take it out. Partitions go by the name of their root."
                     : "Is it the right database?");
    error_place(&e, "%s", place ? place : "");
    daemon_misconfigured(j->sync->daemon, &e);
    return JOB_WAIT;
}

/* ------------------------------------------------------------------ refused rows */

enum job_next lead_take_skips(struct job *j, PGresult *r)
{
    skip_take_list(j->sync, r);
    return JOB_NEXT;
}

static bool is_same_key(const char *a, const char *b)
{
    json_t *x = json_loads(a, 0, NULL), *y = json_loads(b, 0, NULL);
    bool same = x && y && json_equal(x, y);

    json_decref(x);
    json_decref(y);
    return same;
}

const char *lead_refuse_skip(const struct table *t, const char *key)
{
    if (t->sync->other)
        return "in a two-way sync no row is left out: change it at either end, or mend what "
               "refuses it (rebeco status has the server's words)";
    if (t->pause != TABLE_ERROR)
        return "the table does not stand still for a row: nothing is left out";
    if (t->poison == NULL)
        return t->wants_search ? "the row is being looked for: try again in a moment"
                               : "no single row is known to be refused: see rebeco status";
    if (key == NULL || !is_same_key(key, t->poison->key))
        return "it is another row that is refused: see rebeco status";
    if (t->records == TABLE_IMAGE && t->poison->is_delete)
        return "where there is no key, a removal cannot be left out";
    return NULL;
}

void lead_bind_skip(struct job *j, struct params *p)
{
    const struct lead_job *l = lead_of(j);
    const struct table *t = l->table;

    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
    params_int(p, t->id);
    params_text(p, t->source->schema);
    params_text(p, t->source->name);
    params_text(p, t->poison->key);
    params_text(p, t->poison->row);
    params_text(p, t->poison->is_delete ? "delete" : "write");
    params_text(p, t->poison->error);
    params_text(p, t->poison->sqlstate);
    params_text(p, t->poison->key_hash);
    params_text(p, t->poison->row_hash);
    params_int(p, l->command_id);
    params_text(p, t->poison->image);
    params_bool(p, t->records == TABLE_IMAGE);
}

enum job_next lead_take_skip(struct job *j, PGresult *r)
{
    struct table *t = lead_of(j)->table;

    log_event(LOG_WARNING, "a row is left out", "sync", j->sync->name, "table", t->label, "key",
              t->poison->key, "number", field_text(r, 0, "number"), "hint",
              "It is in rebeco.skipped at the target, and tried again when it changes.", NULL);
    skip_add(t);
    lead_retry(t);
    return job_goto(j, "answer");
}

void lead_bind_skip_retry(struct job *j, struct params *p)
{
    const struct table *t = lead_of(j)->table;

    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
    params_int(p, t->id);
    params_text(p, t->target->schema);
    params_text(p, t->target->name);
    params_text(p, copy_column_names(j, t->source));
    params_bool(p, t->fires);
}

bool lead_next_left_out(struct lead_job *l)
{
    struct sync *s = l->sync;
    struct list *from = l->table ? &l->table->in_sync : &s->tables;

    for (struct list *k = from->next; k != &s->tables; k = k->next) {
        l->table = container_of(k, struct table, in_sync);
        if (l->table->records == TABLE_IMAGE && table_is_followed(l->table) &&
            skip_count_of(l->table) > 0)
            return true;
    }
    l->table = NULL;
    return false;
}

/* The target is told by a batch, even an empty one, that it is one state of the source again. */
enum job_next lead_take_skip_retry(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    struct table *t = l->table;
    int refused, tried = skip_take_retried(t, r, &refused);

    for (int i = 0; i < PQntuples(r); i++)
        if (!field_is_null(r, i, "error"))
            l->retry.error = arena_strdup(j->arena, field_text(r, i, "error"));
    l->retry.tried += tried;
    l->retry.refused += refused;
    log_event(LOG_NOTICE, "rows that were left out were tried again", "sync", j->sync->name,
              "table", t->label, "tried", log_int(tried), "refused", log_int(refused), NULL);
    j->sync->is_consistent = false;
    sync_table_changed(t);
    batch_wake(j->sync->batch);
    if (l->retry.of_all && lead_next_left_out(l))
        return job_goto(j, "skip retry");
    if (l->retry.refused > 0)
        snprintf(l->answer, sizeof l->answer, "%d of %d that were left out are refused again: %s",
                 l->retry.refused, l->retry.tried, l->retry.error);
    else
        snprintf(l->answer, sizeof l->answer, "what was left out is at the target now");
    l->command_ok = l->retry.refused == 0;
    return job_goto(j, "answer");
}

void lead_retry(struct table *t)
{
    t->pause = t->is_recorded || t->is_recording ? TABLE_ERROR : TABLE_RUNS;
    t->retry_at = t->next_try = 0;
    t->retries = 0;
    t->sync->wants_catalog = true;
    t->sync->lead->reconcile_due = 0;
}

/* ------------------------------------------------------------------ how tables look */

/* In the catalogs that said so (has_other_layout), and not in those that its statements were made
 * from. */
static void find_ends(const struct table *t, const struct relation **source,
                      const struct relation **target)
{
    const struct catalog_pair *p = t->sync->catalogs;

    *source = catalog_find_oid(p->source, t->source_oid);
    *target = catalog_find_mate(p->target, *source);
}

/* What a table is compared with is how it looked last, and not when it was copied: a rewrite of
 * then (TRUNCATE, VACUUM FULL) would seem to be one with the column that is touched months later,
 * and the table would be copied again for it. */
enum job_next lead_enter_layouts(struct job *j)
{
    struct lead_job *l = lead_of(j);

    for (struct list *k = j->sync->tables.next; k != &j->sync->tables; k = k->next) {
        const struct relation *source, *target;

        l->table = container_of(k, struct table, in_sync);
        if (!l->table->has_other_layout)
            continue;
        find_ends(l->table, &source, &target);
        params_clear(&j->params);
        lead_bind_table(j, &j->params);
        params_text(&j->params, source->layout);
        params_text(&j->params, target->layout);
        conn_execute(job_conn(j, JOB_TARGET), &sql_table_layouts, &j->params, CONN_TEXT, 60.);
        return JOB_WAIT;
    }
    l->table = NULL;
    return job_goto(j, "look at merging");
}

enum job_next lead_take_layouts(struct job *j, PGresult *r)
{
    struct table *t = lead_of(j)->table;
    const struct relation *source, *target;

    (void)r;
    find_ends(t, &source, &target);
    table_set_layouts(t, source->layout, target->layout);
    t->has_other_layout = false;
    return job_goto(j, "layouts");
}

/* ------------------------------------------------------------------ both ends' catalogs */

void lead_bind_source_catalog(struct job *j, struct params *p)
{
    (void)j;
    params_bool(p, true);
}

void lead_bind_target_catalog(struct job *j, struct params *p)
{
    (void)j;
    params_bool(p, false);
}

bool lead_read_catalog(struct sync *s, enum job_side side, const PGresult *r,
                       struct catalog *read[JOB_SIDES], struct error *e)
{
    catalog_free(read[side]);
    read[side] = catalog_new(r, e);
    if (read[side] && side == JOB_SOURCE)
        shaping_apply(read[side], s->config);
    return read[side] != NULL;
}

void lead_pair_catalogs(struct sync *s, struct catalog *read[JOB_SIDES])
{
    catalog_pair_release(s->catalogs);
    s->catalogs = catalog_pair_new(read[JOB_SOURCE], read[JOB_TARGET]);
    read[JOB_SOURCE] = read[JOB_TARGET] = NULL;
}

/* Both ends are asked at the same time: with many tables this is most of a start. */
enum job_next lead_enter_catalogs(struct job *j)
{
    lead_of(j)->catalogs_due = JOB_SIDES;
    for (int side = 0; side < JOB_SIDES; side++) {
        params_clear(&j->params);
        params_bool(&j->params, side == JOB_SOURCE);
        conn_execute(job_conn(j, (enum job_side)side), &sql_catalog_relations, &j->params,
                     CONN_TEXT, CATALOG_TIMEOUT_S);
    }
    return JOB_WAIT;
}

enum job_next lead_catalogs_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct lead_job *l = lead_of(j);
    struct error e = {0};

    if (m->event == CONN_RESULT && job_result_failed(m->result))
        return job_fail_result(j, side, m->result);
    if (m->event == CONN_RESULT && !lead_read_catalog(j->sync, side, m->result, l->catalogs, &e))
        return job_fail(j, &e);
    if (m->event != CONN_DONE || --l->catalogs_due > 0)
        return JOB_WAIT;
    lead_pair_catalogs(j->sync, l->catalogs);
    return JOB_NEXT;
}

/* What a follower must have replayed before it is read in place of the source. */
enum job_next lead_enter_lsn(struct job *j)
{
    if (j->sync->config->follower.url == NULL)
        return JOB_NEXT;
    return lead_say(j, JOB_SOURCE, &sql_source_lsn);
}

enum job_next lead_take_lsn(struct job *j, PGresult *r)
{
    free(j->sync->capture_lsn);
    j->sync->capture_lsn = mem_strdup(field_text(r, 0, "lsn"));
    return JOB_NEXT;
}
