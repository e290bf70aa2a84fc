/* The leading job's work for conflict.merge and conflict.counters: captures of a two-way sync log
 * what the configuration asks for. Asked once for all tables at each start, and for a table that
 * was captured anew; what differs is set, one table after the other, before the next batch. */
#include "lead_steps.h"

#include <jansson.h>
#include <stdlib.h>

#include "config_rules.h"
#include "field.h"
#include "log.h"
#include "steady.h"

static json_t *counters_of(const struct table *t)
{
    const struct config_rule *rule =
        config_rules_find(&t->sync->config->counters, t->source->schema, t->source->name);
    json_t *names = json_array();

    for (int i = 0; rule && i < rule->count; i++)
        json_array_append_new(names, json_string(rule->values[i]));
    return names;
}

static bool is_by_column(const struct table *t)
{
    return config_patterns_match(&t->sync->config->merge, t->source->schema, t->source->name, NULL);
}

static bool is_to_be_asked(const struct table *t)
{
    return t->id != 0 && t->source && t->records == TABLE_KEY && !t->knows_merge;
}

enum job_next lead_enter_merge_look(struct job *j)
{
    json_t *list = json_array();
    char *text;

    for (struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (is_to_be_asked(t))
            json_array_append_new(list, json_pack("{s:i, s:b, s:o}", "id", t->id, "columns",
                                                  is_by_column(t), "counters", counters_of(t)));
    }
    text = json_array_size(list) > 0 && j->sync->other ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    if (text == NULL)
        return job_goto(j, "merge");
    params_clear(&j->params);
    params_text(&j->params, text);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_merge_differs, &j->params, CONN_TEXT, 60.);
    free(text);
    return JOB_WAIT;
}

enum job_next lead_take_merge_look(struct job *j, PGresult *r)
{
    for (struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (!is_to_be_asked(t))
            continue;
        t->knows_merge = true;
        t->wants_merge = false;
    }
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, field_int(r, i, "id"));

        if (t)
            t->wants_merge = true;
    }
    return JOB_NEXT;
}

static struct table *next_table(const struct job *j)
{
    for (struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (!t->wants_merge || t->source == NULL || t->id == 0)
            continue;
        if (steady_now() >= t->next_try)
            return t;
        if (t->pause == TABLE_RUNS)
            j->sync->wants_catalog = true; /* comes by here again */
    }
    return NULL;
}

enum job_next lead_enter_merge(struct job *j)
{
    struct lead_job *l = lead_of(j);
    json_t *counters;
    char *text;

    l->table = next_table(j);
    if (l->table == NULL)
        return job_goto(j, "read statements");
    counters = counters_of(l->table);
    text = json_dumps(counters, JSON_COMPACT);
    json_decref(counters);
    params_clear(&j->params);
    params_int(&j->params, l->table->id);
    params_bool(&j->params, is_by_column(l->table));
    params_text(&j->params, text);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_merge_set, &j->params, CONN_TEXT, 60.);
    free(text);
    return JOB_WAIT;
}

enum job_next lead_enter_merges(struct job *j)
{
    struct table *t = lead_of(j)->table;

    t->wants_merge = false;
    t->tries = 0;
    log_event(LOG_INFO, "changes of both ends are merged as configured", "sync", j->sync->name,
              "table", t->label, NULL);
    return job_goto(j, "merge");
}
