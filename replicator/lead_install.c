/* Installs our objects at an end: the numbered files of schema/ that it does not have yet, in one
 * transaction, under a lock that keeps another daemon from doing the same at that moment. */
#include "lead_steps.h"

#include <stdlib.h>

#include "buf.h"
#include "daemon.h"

#define INSTALL_TIMEOUT_S 300.

/* ------------------------------------------------------------------ our objects */

enum job_next lead_enter_install(struct job *j)
{
    return lead_say(j, lead_of(j)->install_side, &sql_begin);
}

enum job_next lead_enter_install_lock(struct job *j)
{
    return lead_say(j, lead_of(j)->install_side, &sql_schema_lock);
}

enum job_next lead_enter_version(struct job *j)
{
    return lead_say(j, lead_of(j)->install_side, &sql_schema_version);
}

/* The application has a schema with the name of ours: its tables would be taken for our own. */
static enum job_next refuse_schema(struct job *j, const char *stranger)
{
    struct error e = {0};

    error_set(&e, "%s: the schema rebeco is the application's: it holds %s",
              lead_of(j)->install_side == JOB_SOURCE ? "source" : "target", stranger);
    error_hint(&e, "%s", "Rebeco keeps its own objects there. Rename the application's schema.");
    snprintf(e.sqlstate, sizeof e.sqlstate, "P0001");
    j->sync->stopped = e;
    daemon_consider(j->sync->daemon);
    return job_fail(j, &e);
}

enum job_next lead_take_version(struct job *j, PGresult *r)
{
    if (!PQgetisnull(r, 0, 1))
        return refuse_schema(j, PQgetvalue(r, 0, 1));
    lead_of(j)->installed = atoi(PQgetvalue(r, 0, 0));
    return JOB_NEXT;
}

/* All that is missing, as one text: a round trip for each file would be seconds where the server is
 * far away. */
enum job_next lead_enter_files(struct job *j)
{
    const struct lead_job *l = lead_of(j);
    struct buf text;

    buf_init(&text);
    for (const struct sql_schema *f = sql_schema; f->text; f++) {
        if (f->version <= l->installed)
            continue;
        if (text.len == 0)
            buf_printf(&text, "%s;\n", sql_schema_create.text);
        buf_text(&text, f->text);
    }
    if (text.len == 0)
        return job_goto(j, "install commit");
    conn_query(job_conn(j, l->install_side), text.data, NULL, CONN_TEXT, INSTALL_TIMEOUT_S);
    buf_fini(&text);
    return JOB_WAIT;
}

enum job_next lead_enter_install_commit(struct job *j)
{
    return lead_say(j, lead_of(j)->install_side, &sql_commit);
}

enum job_next lead_enter_other_side(struct job *j)
{
    struct lead_job *l = lead_of(j);

    if (l->install_side == JOB_SOURCE)
        return JOB_NEXT;
    l->install_side = JOB_SOURCE;
    return job_goto(j, "install");
}
