/* The watch over catalogs and captures: what has changed in them is read anew, and what was lost is
 * mended. */
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "batch_read.h"
#include "field.h"
#include "lead_steps.h"
#include "upkeep.h"

/* The first stamp counts as a change: what came after the catalogs were read and before it would
 * not be seen otherwise. */
static bool has_changed(struct lead_job *l, enum job_side side, const PGresult *r)
{
    const char *now = field_text(r, 0, "stamp");
    bool changed;

    if (field_is_null(r, 0, "stamp"))
        return false;
    changed = strncmp(l->stamps[side], now, sizeof l->stamps[side] - 1) != 0;
    snprintf(l->stamps[side], sizeof l->stamps[side], "%s", now);
    snprintf(l->moments[side], sizeof l->moments[side], "%s", field_text(r, 0, "moment"));
    return changed;
}

void upkeep_bind_source_stamp(struct job *j, struct params *p)
{
    params_text(p, lead_of(j)->moments[JOB_SOURCE]);
}

void upkeep_bind_target_stamp(struct job *j, struct params *p)
{
    params_text(p, lead_of(j)->moments[JOB_TARGET]);
}

enum job_next upkeep_take_source_stamp(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);

    j->sync->wants_catalog |= has_changed(l, JOB_SOURCE, r);
    return field_is_null(r, 0, "stamp") && l->captures[0] ? job_goto(j, "target stamp") : JOB_NEXT;
}

/* A table whose triggers are gone logs nothing, so no batch would ever look at its capture. */
enum job_next upkeep_take_captures(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);
    const char *now = field_text(r, 0, "stamp");

    if (strncmp(l->captures, now, sizeof l->captures - 1) == 0)
        return job_goto(j, "target stamp");
    snprintf(l->captures, sizeof l->captures, "%s", now);
    return JOB_NEXT;
}

void upkeep_bind_lost_captures(struct job *j, struct params *p)
{
    struct buf *ids = &lead_of(j)->captured;

    buf_clear(ids, 64 * 1024);
    for (const struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->id != 0)
            buf_printf(ids, "%s%d", ids->len ? "," : "{", t->id);
    }
    buf_text(ids, ids->len ? "}" : "{}");
    params_text(p, ids->data);
    params_text(p, j->sync->consumer);
}

/* A capture that is gone, or whose readers do not count this sync any more: what the start does
 * about it is right now too. */
static enum job_next begin_anew(struct job *j, const struct table *t, const char *why)
{
    struct error e = {0};

    error_set(&e, "%s: the changes of %s are not kept for this sync any more",
              j->conns[JOB_SOURCE].label, t->label);
    error_detail(&e, "%s", why);
    error_hint(&e, "%s", "Somebody removed it there. The table is copied again by itself.");
    snprintf(e.sqlstate, sizeof e.sqlstate, "40001");
    return job_fail(j, &e);
}

enum job_next upkeep_take_lost_captures(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, field_int(r, i, "id"));

        if (t && field_bool(r, i, "is_left"))
            return begin_anew(j, t, field_text(r, i, "problem"));
        if (t && field_bool(r, i, "owes")) {
            if (t->pause == TABLE_RUNS) /* else it is asked about before it goes on */
                partition_take_note(t, true);
        } else if (t && t->source && t->pause == TABLE_RUNS)
            batch_pause_broken(t, field_text(r, i, "problem"), field_bool(r, i, "is_lossy"));
        else if (t && t->pause != TABLE_RUNS)
            lead_of(j)->captures[0] = '\0'; /* look again when it runs */
    }
    return JOB_NEXT;
}

enum job_next upkeep_take_target_stamp(struct job *j, PGresult *r)
{
    struct lead_job *l = lead_of(j);

    j->sync->wants_catalog |= has_changed(l, JOB_TARGET, r);
    l->looks++;
    return job_goto(j, "watch");
}
