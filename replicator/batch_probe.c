/* Looking for changes.
 *
 * Most tables do not change between two batches, and of most of these the change log is empty: it
 * is emptied when it has been read. To look into an empty log costs ten times what it costs to ask
 * for the size of its file, so that the sizes are asked for first, for all tables, and only logs
 * that hold something are looked into.
 *
 * Nothing is missed by that. The size is asked for after the batch's snapshot B was taken. A row
 * that B sees was written before, and its writing made the file grow before; and nothing that this
 * sync has not confirmed is ever emptied away. Where a log was made anew instead, its oid tells.
 *
 * So as not to pay for it with a round trip more, the logs that held something last time are looked
 * into at once, behind the question for the sizes. */
#include "batch_probe.h"

#include <stdlib.h>

#include "batch_read.h"
#include "field.h"

enum { LOOK_TABLES = 50 };

static void look_name(const struct batch_job *b, int number, char *name, size_t size)
{
    snprintf(name, size, "rebeco_look_%d_%d", b->generation, number);
}

/* ------------------------------------------------------------------ the statements */

void batch_send_probe_texts(struct batch_job *b)
{
    struct buf ids = {0};

    b->generation++;
    b->looks = 0;
    arena_free(b->probe_texts);
    b->probe_texts = arena_new();
    for (int i = 0; i < b->group_count; i++) {
        buf_printf(&ids, "%s%d", ids.len ? "," : "{", b->group[i].table->id);
        if (i + 1 < b->group_count && (i + 1) % LOOK_TABLES != 0)
            continue;
        buf_text(&ids, "}");
        params_clear(&b->job.params);
        params_text(&b->job.params, ids.data);
        batch_ask(b, &sql_probe_statements, BATCH_PROBE_TEXT);
        buf_clear(&ids, 4096);
    }
    buf_fini(&ids);
}

/* What looks into a single log is prepared when it is needed first. */
void batch_take_probe_texts(struct batch_job *b, const PGresult *r)
{
    char name[48];

    for (int i = 0; i < PQntuples(r); i++) {
        const char *text = field_text(r, i, "statement");
        struct batch_table *t;

        if (field_is_null(r, i, "id")) {
            look_name(b, b->looks++, name, sizeof name);
            batch_prepare(b, name, text);
            continue;
        }
        t = batch_group_find(b, field_int(r, i, "id"));
        if (t)
            t->probe = arena_strdup(b->probe_texts, text);
    }
}

/* ------------------------------------------------------------------ asking */

static void send_look(struct batch_job *b, int number)
{
    struct buf logs = {0};
    int first = number * LOOK_TABLES;
    char name[48];

    for (int i = first; i < b->group_count && i < first + LOOK_TABLES; i++)
        buf_printf(&logs, "%s%lld", i > first ? "," : "{", (long long)b->group[i].table->log);
    buf_text(&logs, "}");
    params_clear(&b->job.params);
    params_text(&b->job.params, logs.data);
    look_name(b, number, name, sizeof name);
    batch_ask_name(b, name, BATCH_LOGS);
    buf_fini(&logs);
}

static void send_probe(struct batch_job *b, struct batch_table *t)
{
    char name[48];

    snprintf(name, sizeof name, "rebeco_probe_%d", t->table->plan);
    if (!t->has_probe)
        batch_prepare(b, name, t->probe);
    t->has_probe = true;
    t->is_probed = true;
    params_clear(&b->job.params);
    params_int(&b->job.params, t->since.xmax);
    params_text(&b->job.params, t->since.running);
    batch_ask_name(b, name, BATCH_PROBE);
}

void batch_send_looks(struct batch_job *b)
{
    for (int i = 0; i < b->looks; i++)
        send_look(b, i);
    b->look_s = 0;
    if (b->looks > 1) { /* a single one takes no longer than the way there */
        params_clear(&b->job.params);
        batch_ask(b, &sql_batch_looked, BATCH_LOOKED);
    }
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (t->is_filled)
            send_probe(b, t);
        t->is_filled = false; /* until the answer says so */
    }
}

enum job_next batch_enter_probe(struct job *j)
{
    struct batch_job *b = batch_of(j);
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (!t->is_filled || t->is_probed)
            continue;
        send_probe(b, t);
        any = true;
    }
    return any ? batch_sync_source(b) : JOB_NEXT;
}

/* ------------------------------------------------------------------ the answers */

void batch_take_logs(struct batch_job *b, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct batch_table *t = batch_group_find(b, field_int(r, i, "id"));

        if (t == NULL)
            continue;
        t->is_filled = true;
        t->is_other_log = field_bool(r, i, "is_other");
    }
}

void batch_take_probe(struct batch_job *b, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct batch_table *t = batch_group_find(b, field_int(r, i, "id"));

        if (t == NULL)
            continue;
        t->changes = field_int64(r, i, "changes");
        t->is_truncated = field_bool(r, i, "is_truncated");
        t->is_broken = field_bool(r, i, "is_broken");
        t->has_removals = field_bool(r, i, "has_removals");
        b->changes += t->changes;
    }
}
