/* `ddl FILE`: a migration at both ends, so that no change is lost and neither end is left behind.
 *
 * Both ends run the file in a transaction that also notes that the end has it, the target first:
 * what fails there leaves the application alone. Then the source, with a short lock_timeout, so
 * that no writer waits; then both commit, the source first. Whatever fails before that leaves both
 * ends as they were. Between the two commits only a crash or a broken connection can come: then one
 * end has it, the note says so, and the same command goes on with the other end.
 *
 * Capture and positions need no pause: between the two commits the tables' ends differ, so the
 * daemon lets them stand with their positions, captures their changes, mends their capture, and
 * goes on when the ends fit, copying again where values may have changed without a row being
 * written.
 *
 * Before it begins, the target is to have everything that was committed before: with a backlog, or
 * in the middle of the initial copy, the file would wait for locks there, and then the tables for
 * the backlog.
 *
 * Where tables are called otherwise at the target, the file speaks of those of its names at either
 * end. It is refused where such a name is another table's at the target.
 *
 * A statement that cannot run in a transaction runs outside, alone, the target first: then the note
 * is written right after it. */
#include "ddl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "client.h"
#include "field.h"
#include "request.h"
#include "sqlstate.h"
#include "steady.h"

#define RETRY_FOR_S 300. /* how long locks are waited for in all */
#define UP_TO_DATE_S 60. /* and the target, unless --timeout says otherwise */
#define LOOK_S 0.1
#define CANNOT_IN_TRANSACTION "25001"

enum { TARGET_LOCK_MS = 5000 };

struct ddl {
    struct client client;
    const struct command_context *x;
    char *text;           /* of the file */
    char *run;            /* this migration's number; NULL: not begun */
    bool done[JOB_SIDES]; /* the end has it, as far as is known */
    bool is_outside;      /* without a transaction */
    bool says_waiting;    /* for locks: said once */
    bool is_held;         /* a daemon runs */
    bool has_waited;      /* for the target to be up to date */
    double patience_s;    /* for that; 0: it is not waited for */
    double patient_until;
    char *asked;      /* the request for that, as an array's text */
    char *xid;        /* of the transaction in hand */
    char *settings;   /* by which the source reads values: the target does the same */
    const char *note; /* what is written about an unfinished run */
    double give_up_at;
    enum job_side side; /* the end in hand */
};

static struct ddl *ddl_of(struct job *j)
{
    struct client *c = container_of(j, struct client, job);
    return container_of(c, struct ddl, client);
}

static const char *side_name(enum job_side side)
{
    return side == JOB_SOURCE ? "source" : "target";
}

/* ---------------------------------------------------------------- where it stands */

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, ddl_of(j)->x->sync->name);
}

static enum job_next result_look(struct job *j, PGresult *r)
{
    ddl_of(j)->is_held = field_bool(r, 0, "is_held");
    if (field_bool(r, 0, "is_installed"))
        return JOB_NEXT;
    return client_refuse(
        j, "there is nothing of Rebeco at the target",
        "`rebeco run` installs it. Without a sync, run the file at both ends yourself.");
}

static enum job_next result_lock(struct job *j, PGresult *r)
{
    if (field_bool(r, 0, "is_ours"))
        return JOB_NEXT;
    return client_refuse(j, "another migration of this sync is running", "Wait for its end.");
}

/* The same words would change another table there. Who runs the file at the target alone has
 * written it for the target. */
static enum job_next result_renamed(struct job *j, PGresult *r)
{
    struct error e;
    if (PQntuples(r) == 0 || ddl_of(j)->x->only != NULL)
        return JOB_NEXT;
    error_clear(&e);
    error_set(&e,
              "one file cannot be right at both ends: what is %s at the source is %s at the "
              "target, where another table, or view, is called %s",
              field_or_null(r, 0, "source"), field_or_null(r, 0, "target"),
              field_or_null(r, 0, "source"));
    error_hint(&e, "%s",
               "Write one with the target's names and run it there with `rebeco ddl --only "
               "target`; then run the other at the source "
               "yourself. The tables wait for each other in between.");
    return job_fail(j, &e);
}

static void bind_open(struct job *j, struct params *p)
{
    bind_sync(j, p);
    params_text(p, ddl_of(j)->text);
}

static enum job_next result_open(struct job *j, PGresult *r)
{
    struct ddl *d = ddl_of(j);
    const char *run = field_or_null(r, 0, "run"), *other = field_or_null(r, 0, "other");
    struct error e;
    if (run) {
        free(d->run);
        d->run = mem_strdup(run);
        return JOB_NEXT;
    }
    error_clear(&e);
    error_set(&e, "another migration has not been finished");
    error_detail(&e, "%s", other ? other : "it was cut off: nobody knows yet which end has it");
    error_hint(
        &e, "%s",
        "Run `rebeco ddl` with that file again first: it goes on where it was. Its text is in "
        "rebeco.ddl at the target; set finished_at there once both ends have it.");
    return job_fail(j, &e);
}

static void bind_run(struct job *j, struct params *p)
{
    params_text(p, ddl_of(j)->run);
}

static enum job_next result_target_state(struct job *j, PGresult *r)
{
    ddl_of(j)->done[JOB_TARGET] = field_bool(r, 0, "is_done");
    return JOB_NEXT;
}

static enum job_next result_source_state(struct job *j, PGresult *r)
{
    struct ddl *d = ddl_of(j);
    d->done[JOB_SOURCE] = field_bool(r, 0, "is_done") || d->x->only != NULL;
    return JOB_NEXT;
}

/* ---------------------------------------------------------------- what was before it */

/* A migration that one end has already is the way to make them fit again: nothing is waited for. */
static enum job_next enter_before(struct job *j)
{
    struct ddl *d = ddl_of(j);
    bool is_begun = d->done[JOB_SOURCE] || d->done[JOB_TARGET];
    if (d->has_waited || is_begun || d->patience_s <= 0)
        return job_goto(j, "source session");
    d->has_waited = true;
    d->patient_until = steady_now() + d->patience_s;
    if (d->is_held)
        return JOB_NEXT;
    fputs("rebeco: no daemon runs on this sync; what was written before the migration follows when "
          "one does\n",
          stderr);
    return job_goto(j, "source session");
}

static void bind_ask(struct job *j, struct params *p)
{
    bind_sync(j, p);
    params_text(p, "kick");
    params_text(p, NULL);
}

static enum job_next result_ask(struct job *j, PGresult *r)
{
    struct ddl *d = ddl_of(j);
    free(d->asked);
    d->asked = mem_strdup(field_or_null(r, 0, "ids"));
    return JOB_NEXT;
}

static void bind_answers(struct job *j, struct params *p)
{
    params_text(p, ddl_of(j)->asked);
    bind_sync(j, p);
}

static enum job_next result_answers(struct job *j, PGresult *r)
{
    struct ddl *d = ddl_of(j);
    if (PQntuples(r) == 1 && !field_bool(r, 0, "is_done")) {
        if (steady_now() < d->patient_until)
            return job_sleep(j, LOOK_S, job_goto(j, "answers"));
        return client_refuse(j, "the target does not have yet what was written before",
                             "`rebeco status` says how far it is. Wait, or give --timeout 1h to "
                             "have this command wait, or --timeout 0 to go ahead nevertheless.");
    }
    if (PQntuples(r) == 1 && !field_bool(r, 0, "ok"))
        fprintf(stderr, "rebeco: %s; the migration goes ahead\n", field_or_null(r, 0, "answer"));
    return JOB_NEXT;
}

/* ---------------------------------------------------------------- one end */

static void bind_source_person(struct job *j, struct params *p)
{
    const struct ddl *d = ddl_of(j);
    /* An index that is given up half made is in the way of the next try. */
    params_int(p, d->is_outside ? 0 : (int64_t)(d->x->sync->lock_timeout_s * 1000));
    params_text(p, NULL);
}

static enum job_next result_source_person(struct job *j, PGresult *r)
{
    struct ddl *d = ddl_of(j);
    free(d->settings);
    d->settings = mem_strdup(field_or_null(r, 0, "settings"));
    return JOB_NEXT;
}

static void bind_target_person(struct job *j, struct params *p)
{
    params_int(p, ddl_of(j)->is_outside ? 0 : TARGET_LOCK_MS);
    params_text(p, ddl_of(j)->settings);
}

static void say(struct job *j, const struct sql *sql)
{
    conn_query(job_conn(j, ddl_of(j)->side), sql->text, &j->params, CONN_TEXT, 0);
}

/* The first end that lacks it, the target before the source. */
static enum job_next enter_first(struct job *j)
{
    struct ddl *d = ddl_of(j);
    d->side = JOB_TARGET;
    return d->done[JOB_TARGET] ? job_goto(j, "next end") : JOB_NEXT;
}

static enum job_next enter_begin(struct job *j)
{
    if (ddl_of(j)->is_outside)
        return job_goto(j, "file");
    params_clear(&j->params);
    say(j, &sql_begin);
    return JOB_WAIT;
}

static enum job_next enter_mark(struct job *j)
{
    params_clear(&j->params);
    params_text(&j->params, ddl_of(j)->run);
    say(j, &sql_ddl_mark);
    return JOB_WAIT;
}

static enum job_next result_mark(struct job *j, PGresult *r)
{
    struct ddl *d = ddl_of(j);
    free(d->xid);
    d->xid = mem_strdup(field_or_null(r, 0, "xid"));
    return JOB_NEXT;
}

/* The file's text as it is, by the protocol that takes several statements. */
static enum job_next enter_file(struct job *j)
{
    struct ddl *d = ddl_of(j);
    conn_query(job_conn(j, d->side), d->text, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

/* Everything it answers is passed over; nobody is there to give it rows. */
static enum job_next on_file_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    if (m->event == CONN_COPY_IN)
        conn_copy_end(job_conn(j, side), "a migration cannot be given rows to copy from here");
    if (m->event == CONN_RESULT && job_result_failed(m->result))
        return job_fail_result(j, side, m->result);
    return m->event == CONN_DONE && side == ddl_of(j)->side ? JOB_NEXT : JOB_WAIT;
}

static enum job_next enter_check(struct job *j)
{
    struct ddl *d = ddl_of(j);
    params_clear(&j->params);
    if (d->is_outside) {
        params_text(&j->params, d->run);
        say(j, &sql_ddl_mark);
    } else {
        params_text(&j->params, d->xid);
        say(j, &sql_ddl_check);
    }
    return JOB_WAIT;
}

static enum job_next result_check(struct job *j, PGresult *r)
{
    struct ddl *d = ddl_of(j);
    if (d->is_outside) {
        d->done[d->side] = true;
        return JOB_NEXT;
    }
    if (field_bool(r, 0, "is_same"))
        return JOB_NEXT;
    return client_refuse(
        j, "the file ends its transaction itself",
        "Take BEGIN, COMMIT and ROLLBACK out of it: each end runs it as one transaction. "
        "See at both ends what of it was done already.");
}

/* ---------------------------------------------------------------- both ends */

static enum job_next enter_next_end(struct job *j)
{
    struct ddl *d = ddl_of(j);
    if (d->side == JOB_SOURCE || d->done[JOB_SOURCE])
        return JOB_NEXT;
    d->side = JOB_SOURCE;
    return job_goto(j, "begin");
}

static enum job_next enter_commit_source(struct job *j)
{
    struct ddl *d = ddl_of(j);
    if (d->done[JOB_SOURCE])
        return JOB_NEXT;
    conn_query(job_conn(j, JOB_SOURCE), sql_commit.text, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

static enum job_next enter_commit_target(struct job *j)
{
    struct ddl *d = ddl_of(j);
    d->done[JOB_SOURCE] = true;
    if (d->done[JOB_TARGET])
        return JOB_NEXT;
    conn_query(job_conn(j, JOB_TARGET), sql_commit.text, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

static void bind_finished(struct job *j, struct params *p)
{
    ddl_of(j)->done[JOB_TARGET] = true;
    bind_run(j, p);
    params_text(p, NULL);
}

static const struct job_step steps[] = {
    {.name = "look",
     .sql = &sql_request_look,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_look},
    {.name = "lock",
     .sql = &sql_ddl_lock,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_lock},
    {.name = "renamed",
     .sql = &sql_ddl_renamed,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_renamed},
    {.name = "open",
     .sql = &sql_ddl_open,
     .side = JOB_TARGET,
     .bind = bind_open,
     .result = result_open},
    {.name = "target state",
     .sql = &sql_ddl_state,
     .side = JOB_TARGET,
     .bind = bind_run,
     .result = result_target_state},
    {.name = "source state",
     .sql = &sql_ddl_state,
     .side = JOB_SOURCE,
     .bind = bind_run,
     .result = result_source_state},
    {.name = "before", .enter = enter_before},
    {.name = "ask",
     .sql = &sql_command_send,
     .side = JOB_TARGET,
     .bind = bind_ask,
     .result = result_ask},
    {.name = "answers",
     .sql = &sql_command_answers,
     .side = JOB_TARGET,
     .bind = bind_answers,
     .result = result_answers},
    {.name = "source session",
     .sql = &sql_session_person,
     .side = JOB_SOURCE,
     .bind = bind_source_person,
     .result = result_source_person},
    {.name = "target session",
     .sql = &sql_session_person,
     .side = JOB_TARGET,
     .bind = bind_target_person},
    {.name = "first end", .enter = enter_first},
    {.name = "begin", .enter = enter_begin},
    {.name = "mark", .enter = enter_mark, .result = result_mark},
    {.name = "file", .enter = enter_file, .event = on_file_event},
    {.name = "check", .enter = enter_check, .result = result_check},
    {.name = "next end", .enter = enter_next_end},
    {.name = "commit source", .enter = enter_commit_source},
    {.name = "commit target", .enter = enter_commit_target},
    {.name = "finished", .sql = &sql_ddl_note, .side = JOB_TARGET, .bind = bind_finished},
    {0},
};

/* A lock that could not be had, or a deadlock: everything is rolled back, and tried again. */
static bool failed(struct job *j, const struct error *e)
{
    struct ddl *d = ddl_of(j);
    bool is_locked = sqlstate_is_of_lock(e->sqlstate);
    if (strcmp(e->sqlstate, CANNOT_IN_TRANSACTION) == 0 && !d->is_outside) {
        fprintf(stderr, "rebeco: %s; it runs outside of one, first at the target\n", e->what);
        d->is_outside = true;
        return true;
    }
    if (strcmp(e->sqlstate, CANNOT_IN_TRANSACTION) == 0 || !is_locked ||
        steady_now() > d->give_up_at)
        return false;
    if (!d->says_waiting)
        fprintf(stderr, "rebeco: %s; nothing was changed, trying again and again\n", e->what);
    d->says_waiting = true;
    return true;
}

static const struct job_type ddl_type = {
    .name = "ddl",
    .uses = {true, true},
    .steps = steps,
    .failed = failed,
    .ended = client_ended,
};

/* ---------------------------------------------------------------- after a failure */

static void bind_note(struct job *j, struct params *p)
{
    bind_run(j, p);
    params_text(p, ddl_of(j)->note);
}

static enum job_next enter_compose(struct job *j)
{
    struct ddl *d = ddl_of(j);
    const bool *done = d->done;
    if (done[JOB_SOURCE] && done[JOB_TARGET])
        d->note = "both ends have it";
    else if (!done[JOB_SOURCE] && !done[JOB_TARGET])
        d->note = arena_printf(d->x->config->arena, "no end has it: %s", d->client.job.error.what);
    else
        d->note = arena_printf(d->x->config->arena, "the %s has it and the %s has not: %s",
                               side_name(done[JOB_SOURCE] ? JOB_SOURCE : JOB_TARGET),
                               side_name(done[JOB_SOURCE] ? JOB_TARGET : JOB_SOURCE),
                               d->client.job.error.what);
    return JOB_NEXT;
}

static const struct job_step note_steps[] = {
    {.name = "target state",
     .sql = &sql_ddl_state,
     .side = JOB_TARGET,
     .bind = bind_run,
     .result = result_target_state},
    {.name = "source state",
     .sql = &sql_ddl_state,
     .side = JOB_SOURCE,
     .bind = bind_run,
     .result = result_source_state},
    {.name = "compose", .enter = enter_compose},
    {.name = "note", .sql = &sql_ddl_note, .side = JOB_TARGET, .bind = bind_note},
    {0},
};

static const struct job_type note_type = {
    .name = "ddl note",
    .uses = {true, true},
    .steps = note_steps,
    .failed = client_failed,
    .ended = client_ended,
};

/* Says how the ends stand, to the person and in rebeco.ddl. */
static int fail(struct ddl *d, struct error *e)
{
    struct error ignored;
    error_clear(&ignored);
    error_print(e);
    if (d->run == NULL)
        return EXIT_FAILED;
    d->client.job.type = &note_type;
    d->client.is_finished = false;
    if (client_run(&d->client, 30, &ignored))
        fprintf(stderr, "rebeco: %s\n", d->note);
    else
        fputs("rebeco: the ends cannot be asked now which of them has it\n", stderr);
    fputs("rebeco: mend what is in the way and run the same command again: it goes on with the end "
          "that "
          "lacks it\n",
          stderr);
    return EXIT_FAILED;
}

/* ---------------------------------------------------------------- the command */

static char *read_file(const char *path, struct error *e)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct buf b = {0};
    char block[4096];
    size_t n;
    if (f == NULL) {
        error_set(e, "%s cannot be read", path);
        return NULL;
    }
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_append(&b, block, n);
    bool is_bad = ferror(f) || b.len == 0 || memchr(b.data, '\0', b.len) != NULL;
    if (f != stdin)
        fclose(f);
    char *text = is_bad ? NULL : mem_strdup(b.data);
    buf_fini(&b);
    if (is_bad)
        error_set(e, "%s is empty, or no text", path);
    return text;
}

static int migrate(struct ddl *d)
{
    struct error e;
    error_clear(&e);
    client_init(&d->client, d->x, &ddl_type, "target", d->x->sync->target);
    d->client.job.databases[JOB_SOURCE] = d->x->sync->source;
    d->give_up_at = steady_now() + RETRY_FOR_S;
    int code = EXIT_DONE;
    if (client_run(&d->client, 0, &e))
        puts("both ends have it; the tables go on by themselves, or `rebeco status` says what they "
             "wait for");
    else
        code = fail(d, &e);
    client_fini(&d->client);
    return code;
}

int ddl_run(struct command_context *x)
{
    struct ddl d = {.x = x, .patience_s = UP_TO_DATE_S};
    struct error e;
    error_clear(&e);
    if (!request_timeout(x, &d.patience_s, &e))
        return command_usage_error(&e);
    if (x->only != NULL && strcmp(x->only, "target") != 0) {
        error_set(&e, "--only is target, not \"%s\"", x->only);
        return command_usage_error(&e);
    }
    d.text = read_file(x->operands[0], &e);
    if (d.text == NULL)
        return command_usage_error(&e);
    int code = migrate(&d);
    free(d.text);
    free(d.run);
    free(d.xid);
    free(d.settings);
    free(d.asked);
    return code;
}
