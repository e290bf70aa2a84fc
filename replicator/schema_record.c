/* The last job of a stage: looks at what the target has now, and records what it lacks; and the
 * small one that only looks again. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "log.h"
#include "schema_work.h"
#include "sync.h"

#define LOOK_TIMEOUT_S 600. /* statements that look up every object */

enum { LOCK_TRIES_MAX = 8 };

static struct schema_copy *of_record(struct job *j)
{
    return container_of(j, struct schema_copy, record);
}

/* ------------------------------------------------------------------ the record */

void schema_take_states(struct schema_copy *s, const PGresult *r)
{
    for (int row = 0; row < PQntuples(r); row++) {
        struct schema_entry *e = schema_list_find(&s->list, atoi(PQgetvalue(r, row, 0)));
        char state = PQgetvalue(r, row, 1)[0];

        if (e == NULL)
            continue;
        e->is_there = state != 'm';
        e->is_renamed = state == 'r';
    }
    schema_list_decide(&s->list);
}

static void bind_stage(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_text(p, schema_stage_name(of_record(j)));
}

/* The pass after one with several processes: foreign keys if there are any, or what failed, of
 * which we must know why. False when nothing is missing. */
static bool find_pass(struct schema_copy *s)
{
    bool any = false, any_foreign_key = false;

    for (int i = 0; i < s->list.count; i++) {
        const struct schema_entry *e = &s->list.entries[i];

        if (!schema_entry_is_wanted(e) || (!e->is_known && !e->message))
            continue;
        any = true;
        any_foreign_key |= schema_entry_is_foreign_key(&s->list, e);
    }
    s->pass = s->pass == SCHEMA_PARALLEL && any_foreign_key ? SCHEMA_FOREIGN_KEYS : SCHEMA_ALONE;
    return any;
}

/* After the pass with one process: something is missing only because somebody held a lock. */
static bool is_to_be_repeated(struct schema_copy *s)
{
    if (s->lock_tries == LOCK_TRIES_MAX)
        return false;
    for (int i = 0; i < s->list.count; i++) {
        const struct schema_entry *e = &s->list.entries[i];

        if (!schema_entry_is_wanted(e) || !schema_entry_failed_for_lock(e))
            continue;
        s->lock_tries++;
        log_event(LOG_INFO, "somebody's lock is in the way of an object; it is tried again", "sync",
                  s->sync->name, "object", schema_entry_name(e), "message", e->message, NULL);
        return true;
    }
    return false;
}

static void log_remarks(const struct schema_copy *s)
{
    for (int i = 0; i < s->list.count; i++) {
        const struct schema_entry *e = &s->list.entries[i];

        if (schema_entry_treatment(e) == SCHEMA_REMARK && e->message)
            log_event(LOG_WARNING, "comment not copied", "sync", s->sync->name, "object",
                      schema_entry_name(e), "message", e->message, NULL);
    }
}

static enum job_next looked_after(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_record(j);

    schema_take_states(s, r);
    s->is_again = s->pass == SCHEMA_ALONE ? is_to_be_repeated(s) : find_pass(s);
    if (s->is_again)
        return JOB_DONE;
    s->recorded = 0;
    schema_list_judge(&s->list);
    log_remarks(s);
    return JOB_NEXT;
}

static void bind_failed(struct job *j, struct params *p)
{
    struct schema_copy *s = of_record(j);
    struct buf ids;

    bind_stage(j, p);
    buf_init(&ids);
    buf_text(&ids, "{");
    for (int i = 0; i < s->list.count; i++)
        if (s->list.entries[i].is_failed)
            buf_printf(&ids, "%s%d", ids.len > 1 ? "," : "", s->list.entries[i].id);
    buf_text(&ids, "}");
    params_text(p, arena_strdup(j->arena, ids.data));
    buf_fini(&ids);
}

/* Moves on to the next entry that is to be recorded; false when all are. */
static bool find_failed(struct schema_copy *s)
{
    while (s->recorded < s->list.count && !s->list.entries[s->recorded].is_failed)
        s->recorded++;
    return s->recorded < s->list.count;
}

static enum job_next settled(struct job *j, PGresult *r)
{
    (void)r;
    return find_failed(of_record(j)) ? JOB_NEXT : job_goto(j, "forget");
}

static const char *words_of(const struct schema_entry *e)
{
    return e->message ? e->message : "pg_restore did not say why it is missing.";
}

/* pg_restore leaves the search_path empty, too. */
static bool needs_search_path(const struct schema_entry *e)
{
    return e->message && strstr(e->message, "does not exist") &&
           (strstr(e->message, "\nCONTEXT:  PL/pgSQL function ") ||
            strstr(e->message, "\nCONTEXT:  SQL function "));
}

static const char *hint_for(const struct schema_entry *e)
{
    if (needs_search_path(e))
        return conn_search_path_hint;
    if (schema_entry_treatment(e) == SCHEMA_SELF)
        return "Allow or install the extension at the target, or do without what needs it.";
    if (e->type && strcmp(e->type->name, "TABLE") == 0)
        return "Its rows cannot be copied before it is there: remove the cause or create it by "
               "hand.";
    return "Create it at the target by hand once the cause is removed; it leaves this list when "
           "Rebeco starts the next time.";
}

static void bind_problem(struct job *j, struct params *p)
{
    const struct schema_copy *s = of_record(j);
    const struct schema_entry *e = &s->list.entries[s->recorded];

    params_text(p, j->sync->name);
    params_text(p, schema_entry_name(e));
    params_text(p, words_of(e));
    params_text(p, hint_for(e));
}

static enum job_next recorded(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_record(j);
    const struct schema_entry *e = &s->list.entries[s->recorded];

    (void)r;
    log_event(LOG_WARNING, "object not created", "sync", s->sync->name, "object",
              schema_entry_name(e), "message", words_of(e), "hint", hint_for(e), NULL);
    s->recorded++;
    return find_failed(s) ? JOB_REPEAT : JOB_NEXT;
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

static enum job_next forgotten(struct job *j, PGresult *r)
{
    of_record(j)->missing = atoi(PQgetvalue(r, 0, 0));
    return JOB_NEXT;
}

/* Objects of this stage that are the sync's. */
static int count_objects(const struct schema_copy *s)
{
    int count = 0;

    for (int i = 0; i < s->list.count; i++) {
        const struct schema_entry *e = &s->list.entries[i];

        count += e->is_known && !e->is_elsewhere && !e->is_left_out;
    }
    return count;
}

static bool record_failed(struct job *j, const struct error *e)
{
    return schema_failed(of_record(j), e);
}

static void record_ended(struct job *j, bool finished)
{
    struct schema_copy *s = of_record(j);

    (void)finished;
    error_clear(&s->trouble);
    if (s->is_again) {
        schema_start_job(s, &s->restore);
        return;
    }
    log_event(LOG_INFO, "schema copied", "sync", s->sync->name, "stage", schema_stage_name(s),
              "objects", log_int(count_objects(s)), "missing", log_int(s->missing), NULL);
    schema_finish(s);
}

static const struct job_step record_steps[] = {
    {"look", &sql_schema_copy_state, JOB_TARGET, bind_stage, looked_after, NULL, NULL,
     LOOK_TIMEOUT_S},
    {"settle", &sql_schema_copy_settle, JOB_TARGET, bind_failed, settled, NULL, NULL, 0},
    {"problem", &sql_schema_copy_problem, JOB_TARGET, bind_problem, recorded, NULL, NULL, 0},
    {"forget", &sql_schema_copy_forget, JOB_TARGET, bind_sync, forgotten, NULL, NULL, 0},
    {"done", &sql_schema_copy_done, JOB_TARGET, bind_stage, NULL, NULL, NULL, 0},
    {NULL, NULL, JOB_TARGET, NULL, NULL, NULL, NULL, 0},
};

const struct job_type schema_record_type = {
    .name = "schema-record",
    .uses = {false, true},
    .steps = record_steps,
    .failed = record_failed,
    .ended = record_ended,
};
