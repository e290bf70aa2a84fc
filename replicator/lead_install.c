/* Installs our objects at both ends: the numbered files of schema/ that an end does not have yet,
 * in one transaction, under a lock that keeps another daemon from doing the same there at that
 * moment.
 *
 * Both ends are installed at the same time, and each for itself: a look at what is there, then what
 * is missing and the commit, a round trip each. No end's transaction waits for anything of the
 * other one's, so that two daemons that have these ends the other way round cannot wait for each
 * other. A kill leaves an end without, or with all of them, and the next start does the rest. */
#include "lead_steps.h"

#include <stdlib.h>

#include "buf.h"
#include "daemon.h"

#define INSTALL_TIMEOUT_S 300.

enum job_next lead_enter_install(struct job *j)
{
    struct buf text;

    buf_init(&text);
    buf_printf(&text, "%s;\n%s;\n%s", sql_begin.text, sql_schema_lock.text,
               sql_schema_version.text);
    for (int side = 0; side < JOB_SIDES; side++) {
        lead_of(j)->installing[side] = LEAD_LOOKS;
        conn_query(job_conn(j, (enum job_side)side), text.data, NULL, CONN_TEXT, 60.);
    }
    buf_fini(&text);
    return JOB_WAIT;
}

/* The application has a schema with the name of ours: its tables would be taken for our own. */
static enum job_next refuse_schema(struct job *j, enum job_side side, const char *stranger)
{
    struct error e = {0};

    error_set(&e, "%s: the schema rebeco is the application's: it holds %s",
              side == JOB_SOURCE ? "source" : "target", stranger);
    error_hint(&e, "%s", "Rebeco keeps its own objects there. Rename the application's schema.");
    snprintf(e.sqlstate, sizeof e.sqlstate, "P0001");
    j->sync->stopped = e;
    daemon_consider(j->sync->daemon);
    return job_fail(j, &e);
}

static enum job_next take_version(struct job *j, enum job_side side, const PGresult *r)
{
    int version = PQfnumber(r, "version"), stranger = PQfnumber(r, "stranger");

    if (version < 0)
        return JOB_WAIT; /* the answer to what comes before it in the same text */
    if (!PQgetisnull(r, 0, stranger))
        return refuse_schema(j, side, PQgetvalue(r, 0, stranger));
    lead_of(j)->installed[side] = atoi(PQgetvalue(r, 0, version));
    return JOB_WAIT;
}

/* All that is missing, as one text: a round trip for each file would be seconds where the server is
 * far away. */
static void send_files(struct job *j, enum job_side side)
{
    int installed = lead_of(j)->installed[side];
    struct buf text;

    buf_init(&text);
    for (const struct sql_schema *f = sql_schema; f->text; f++) {
        if (f->version <= installed)
            continue;
        if (text.len == 0)
            buf_printf(&text, "%s;\n%s;\n", sql_schema_create.text, sql_schema_unchecked.text);
        buf_printf(&text, "%s;\n", f->text);
    }
    buf_text(&text, sql_commit.text);
    conn_query(job_conn(j, side), text.data, NULL, CONN_TEXT, INSTALL_TIMEOUT_S);
    buf_fini(&text);
}

enum job_next lead_install_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct lead_job *l = lead_of(j);

    if (m->event == CONN_RESULT && job_result_failed(m->result))
        return job_fail_result(j, side, m->result);
    if (m->event == CONN_RESULT)
        return take_version(j, side, m->result);
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    if (l->installing[side] == LEAD_LOOKS)
        send_files(j, side);
    l->installing[side]++;
    return l->installing[JOB_SOURCE] == LEAD_INSTALLED &&
                   l->installing[JOB_TARGET] == LEAD_INSTALLED
               ? JOB_NEXT
               : JOB_WAIT;
}
