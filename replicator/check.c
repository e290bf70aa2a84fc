/* `rebeco check`: a probe of each end, then one job that asks every statement of sql/check_*.sql.
 *
 * What is always true:
 * - each question is a transaction of its own, read-only and with short timeouts, sent as one
 *   pipeline whose end is its commit; what the server refuses is reported and the next one asked;
 * - the context is one JSON object, the only parameter of every statement: what is configured, and
 *   the facts that earlier statements brought, as "<side>_<fact>"; so one end is compared with the
 *   other by a statement, not here;
 * - a statement's first result column says what it brings: "code" findings, "fact" a fact. */
#include "check.h"

#include <ev.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_probe.h"
#include "check_programs.h"
#include "check_report.h"
#include "check_shape.h"
#include "check_tables.h"
#include "conn.h"
#include "error.h"
#include "exit_code.h"
#include "field.h"
#include "job.h"
#include "mem.h"

#define PATIENCE_S 10.       /* a transaction that lasts longer is long */
#define CLOCK_TOLERANCE_S 1. /* what two clocks may differ */
#define QUESTION_TIMEOUT_S 45.

enum {
    VERSION_15 = 150000,
    OTHER_CONNECTIONS = 6 /* beside the streams: leading, batch, upkeep, sequences, views, status */
};

#define INSUFFICIENT_PRIVILEGE "42501"

struct check {
    struct job job;
    struct ev_loop *loop;
    const struct config_sync *sync;
    struct check_report report;
    struct check_programs programs;
    bool has_programs; /* they were asked */
    struct error error;
    bool is_finished;
    json_t *context;       /* what every statement may read */
    json_t *relations;     /* the source's tables with their columns; large, sent where asked */
    double clock_asked_at; /* by our clock */
    double clock_ahead_s[JOB_SIDES]; /* of ours */
    bool has_clock[JOB_SIDES];
};

static const char *const side_names[JOB_SIDES] = {"source", "target"};

static struct check *check_of(struct job *j)
{
    return container_of(j, struct check, job);
}

/* ------------------------------------------------------------------ the context */

static const char *mode_name(enum config_schema mode)
{
    switch (mode) {
    case CONFIG_SCHEMA_AUTO:
        return "auto";
    case CONFIG_SCHEMA_EXPECT:
        return "expect";
    case CONFIG_SCHEMA_COPY:
        return "copy";
    }
    return "";
}

static json_t *context_new(const struct config_sync *s)
{
    return json_pack("{s:s, s:b, s:s, s:i, s:f, s:i, s:b}", "sync", s->name, "two_way",
                     s->mode == CONFIG_TWO_WAY, "mode", mode_name(s->schema), "connections",
                     s->copy_streams + OTHER_CONNECTIONS, "patience_s", PATIENCE_S, "version",
                     sql_schema_newest, "replica_role", 0);
}

/* Are tables made at the target by us? */
static bool creates_tables(const struct check *c)
{
    switch (c->sync->schema) {
    case CONFIG_SCHEMA_EXPECT:
        return false;
    case CONFIG_SCHEMA_COPY:
        return true;
    case CONFIG_SCHEMA_AUTO:
        return json_array_size(json_object_get(c->context, "target_oids")) == 0;
    }
    return false;
}

/* The context as one side's statements see it; the caller frees it. */
static char *context_text(struct check *c, enum job_side side, bool with_relations)
{
    json_t *doc = json_copy(c->context);
    const struct config_database *d = side == JOB_SOURCE ? c->sync->source : c->sync->target;
    json_t *oids = json_object_get(c->context, side == JOB_SOURCE ? "source_oids" : "target_oids");
    char *text;

    json_object_set_new(doc, "side", json_string(side_names[side]));
    json_object_set_new(doc, "schema", json_string(d->schema));
    json_object_set_new(doc, "minimum", json_integer(SQL_OLDEST_SERVER));
    json_object_set_new(doc, "creates", json_boolean(side == JOB_TARGET && creates_tables(c)));
    json_object_set(doc, "oids", oids ? oids : json_object_get(c->context, "nothing"));
    if (with_relations)
        json_object_set(doc, "source_relations", c->relations);
    text = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);
    return text;
}

/* ------------------------------------------------------------------ asking */

static enum job_next ask_with(struct job *j, bool with_relations)
{
    struct check *c = check_of(j);
    const struct job_step *s = j->step;
    struct conn *conn = job_conn(j, s->side);
    bool has_parameter = strstr(s->sql->text, "$1") != NULL;
    char *context = context_text(c, s->side, with_relations);

    conn_pipeline_begin(conn);
    params_clear(&j->params);
    conn_query(conn, sql_check_transaction.text, &j->params, CONN_TEXT, QUESTION_TIMEOUT_S);
    if (has_parameter)
        params_text(&j->params, context);
    conn_query(conn, s->sql->text, &j->params, CONN_TEXT, QUESTION_TIMEOUT_S);
    c->clock_asked_at = ev_time();
    conn_sync(conn);
    free(context);
    return JOB_WAIT;
}

static enum job_next ask(struct job *j)
{
    return ask_with(j, false);
}

static enum job_next ask_filters(struct job *j)
{
    return json_object_get(check_of(j)->context, "filters") ? ask(j) : JOB_NEXT;
}

static enum job_next ask_with_relations(struct job *j)
{
    return ask_with(j, true);
}

static enum job_next ask_from_15(struct job *j)
{
    if (PQserverVersion(job_conn(j, j->step->side)->pg) < VERSION_15)
        return JOB_NEXT;
    return ask(j);
}

/* Our own tables can be asked only where they are. */
static enum job_next ask_state(struct job *j)
{
    const char *key = j->step->side == JOB_SOURCE ? "source_state" : "target_state";

    if (!json_is_true(json_object_get(check_of(j)->context, key)))
        return JOB_NEXT;
    return ask(j);
}

/* The target of a sync that runs already is full of rows, as it should be. */
static enum job_next ask_if_new(struct job *j)
{
    return json_is_true(json_object_get(check_of(j)->context, "known")) ? JOB_NEXT : ask(j);
}

/* ------------------------------------------------------------------ answers */

/* By how much a server's clock is ahead of ours, taking the middle of the round trip. */
static void take_clock(struct check *c, enum job_side side, const json_t *value)
{
    c->clock_ahead_s[side] = json_number_value(value) - (c->clock_asked_at + ev_time()) / 2;
    c->has_clock[side] = true;
}

static void take_fact(struct check *c, enum job_side side, const PGresult *r)
{
    const char *name = field_text(r, 0, "fact");
    json_t *value = json_loads(field_text(r, 0, "value"), JSON_DECODE_ANY, NULL);
    char key[64];

    if (value == NULL) {
        check_report_add(&c->report, side, "check-failed", name, "the answer is no valid JSON");
    } else if (strcmp(name, "clock") == 0) {
        take_clock(c, side, value);
    } else if (strcmp(name, "relations") == 0) {
        check_shape_relations(&c->report, c->sync, value);
        json_decref(c->relations);
        c->relations = json_incref(value);
    } else {
        snprintf(key, sizeof key, "%s_%s", side_names[side], name);
        json_object_set(c->context, key, value);
    }
    json_decref(value);
}

static void take_findings(struct check *c, enum job_side side, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        const char *code = field_text(r, i, "code");

        if (strcmp(code, "sync-known") == 0) {
            if (side == JOB_TARGET)
                json_object_set_new(c->context, "known", json_true());
        } else {
            check_report_add(&c->report, side, code, field_text(r, i, "object"),
                             field_text(r, i, "detail"));
        }
    }
}

static void take_rows(struct check *c, enum job_side side, const PGresult *r)
{
    if (PQnfields(r) == 3 && strcmp(PQfname(r, 0), "code") == 0)
        take_findings(c, side, r);
    else if (PQnfields(r) == 2 && strcmp(PQfname(r, 0), "fact") == 0 && PQntuples(r) == 1)
        take_fact(c, side, r);
}

static void take_refusal(struct check *c, const struct job_step *s, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

    if (s->sql == &sql_check_replica_role && state && strcmp(state, INSUFFICIENT_PRIVILEGE) == 0)
        check_report_add(&c->report, s->side, "replica-role-refused", "session_replication_role",
                         said ? said : "");
    else
        check_report_add(
            &c->report, s->side, s->sql == &sql_check_filters ? "filter-refused" : "check-failed",
            s->sql == &sql_check_filters ? "tables.where" : s->sql->name, said ? said : "");
}

/* The results of one question, then the end of its pipeline. */
static enum job_next answer(struct job *j, enum job_side side, const struct conn_message *m)
{
    if (m->event == CONN_RESULT && PQresultStatus(m->result) == PGRES_FATAL_ERROR)
        take_refusal(check_of(j), j->step, m->result);
    else if (m->event == CONN_RESULT && PQresultStatus(m->result) == PGRES_TUPLES_OK)
        take_rows(check_of(j), side, m->result);
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    conn_pipeline_end(job_conn(j, side));
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ which tables */

static void bind_tables(struct job *j, struct params *p)
{
    char *context = context_text(check_of(j), JOB_SOURCE, false);

    params_text(p, arena_strdup(j->arena, context));
    free(context);
}

static enum job_next take_tables(struct job *j, PGresult *r)
{
    struct check *c = check_of(j);

    if (!check_tables_choose(c->sync, r, j->arena, c->context, &c->error))
        return JOB_DONE;
    if (json_array_size(json_object_get(c->context, "source_oids")) == 0)
        check_report_add(&c->report, JOB_SOURCE, "no-tables", "tables",
                         "no table of the source matches the patterns");
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ what only we can tell */

static void check_clocks(struct check *c)
{
    double apart_s = c->clock_ahead_s[JOB_TARGET] - c->clock_ahead_s[JOB_SOURCE];
    char detail[96];

    if (!c->has_clock[JOB_SOURCE] || !c->has_clock[JOB_TARGET] ||
        (apart_s < CLOCK_TOLERANCE_S && apart_s > -CLOCK_TOLERANCE_S))
        return;
    snprintf(detail, sizeof detail, "it is %.1f s %s the source's",
             apart_s > 0 ? apart_s : -apart_s, apart_s > 0 ? "ahead of" : "behind");
    check_report_add(&c->report, JOB_TARGET, "clock-difference", "clock", detail);
}

static enum job_next conclude(struct job *j)
{
    struct check *c = check_of(j);

    json_object_set(c->context, "replica_role",
                    json_object_get(c->context, "target_replica_role")
                        ? json_object_get(c->context, "target_replica_role")
                        : json_object_get(c->context, "replica_role"));
    return JOB_NEXT;
}

static void programs_done(struct check_programs *p)
{
    struct check *c = p->owner;
    const json_t *source = json_object_get(c->context, "source_database");
    int major = (int)json_integer_value(json_object_get(source, "version")) / 10000;
    int here = PQserverVersion(job_conn(&c->job, JOB_TARGET)->pg) / 10000;
    struct error e;

    error_clear(&e);
    if (schema_tool_choose(&p->tools, major, here, &e) == NULL)
        check_report_add(&c->report, JOB_SOURCE, "pg-dump-missing", "pg_dump", e.detail);
    job_continue(&c->job, JOB_NEXT);
}

/* The connections have nothing to say meanwhile; a lost one ends the job by itself. */
static enum job_next ignore(struct job *j, enum job_side side, const struct conn_message *m)
{
    (void)j;
    (void)side;
    (void)m;
    return JOB_WAIT;
}

/* Only who copies the schema needs pg_dump. */
static enum job_next ask_programs(struct job *j)
{
    struct check *c = check_of(j);

    if (!creates_tables(c) || json_is_true(json_object_get(c->context, "known")))
        return JOB_NEXT;
    c->has_programs = true;
    check_programs_start(&c->programs, c->loop, j->arena, programs_done, c);
    return JOB_WAIT;
}

static enum job_next finish(struct job *j)
{
    struct check *c = check_of(j);

    check_clocks(c);
    c->is_finished = true;
    return JOB_DONE;
}

/* ------------------------------------------------------------------ the job */

#define QUESTION(label, statement, end, how)                                                       \
    {                                                                                              \
        .name = label, .sql = &sql_##statement, .side = end, .enter = how, .event = answer         \
    }

static const struct job_step steps[] = {
    {.name = "tables",
     .sql = &sql_check_tables,
     .side = JOB_SOURCE,
     .bind = bind_tables,
     .result = take_tables},
    QUESTION("source facts", check_facts, JOB_SOURCE, ask),
    QUESTION("source identity", check_identity, JOB_SOURCE, ask),
    QUESTION("relations", check_relations, JOB_SOURCE, ask),
    QUESTION("target tables", check_oids, JOB_TARGET, ask_with_relations),
    QUESTION("source server", check_server, JOB_SOURCE, ask),
    QUESTION("target server", check_server, JOB_TARGET, ask),
    QUESTION("source collation", check_collation_15, JOB_SOURCE, ask_from_15),
    QUESTION("target collation", check_collation_15, JOB_TARGET, ask_from_15),
    QUESTION("source activity", check_activity, JOB_SOURCE, ask),
    QUESTION("target activity", check_activity, JOB_TARGET, ask),
    QUESTION("kinds", check_kinds, JOB_SOURCE, ask),
    QUESTION("keys", check_keys, JOB_SOURCE, ask),
    QUESTION("filters", check_filters, JOB_SOURCE, ask_filters),
    QUESTION("counters", check_counters, JOB_SOURCE, ask),
    QUESTION("columns", check_columns, JOB_SOURCE, ask),
    QUESTION("sequences", check_sequences, JOB_SOURCE, ask),
    QUESTION("key width", check_key_width, JOB_SOURCE, ask),
    QUESTION("source publications", check_publications, JOB_SOURCE, ask),
    QUESTION("target publications", check_publications, JOB_TARGET, ask),
    QUESTION("source publications", check_publications_15, JOB_SOURCE, ask_from_15),
    QUESTION("target publications", check_publications_15, JOB_TARGET, ask_from_15),
    QUESTION("source of two", check_two_way, JOB_SOURCE, ask),
    QUESTION("target of two", check_two_way, JOB_TARGET, ask),
    QUESTION("load", check_load, JOB_SOURCE, ask),
    QUESTION("source state", check_state, JOB_SOURCE, ask),
    QUESTION("target state", check_state, JOB_TARGET, ask),
    QUESTION("source syncs", check_known, JOB_SOURCE, ask_state),
    QUESTION("target syncs", check_known, JOB_TARGET, ask_state),
    QUESTION("target identity", check_identity, JOB_TARGET, ask),
    QUESTION("pair", check_pair, JOB_TARGET, ask),
    QUESTION("replica role", check_replica_role, JOB_TARGET, ask),
    {.name = "conclude", .enter = conclude},
    QUESTION("target relations", check_target_tables, JOB_TARGET, ask_with_relations),
    QUESTION("target columns", check_target_columns, JOB_TARGET, ask_with_relations),
    QUESTION("target rows", check_target_filled, JOB_TARGET, ask_if_new),
    QUESTION("source clock", check_clock, JOB_SOURCE, ask),
    QUESTION("target clock", check_clock, JOB_TARGET, ask),
    {.name = "programs", .enter = ask_programs, .event = ignore},
    {.name = "finish", .enter = finish},
    {.name = NULL},
};

static bool failed(struct job *j, const struct error *e)
{
    check_of(j)->error = *e;
    return false;
}

static void ended(struct job *j, bool finished)
{
    (void)finished;
    ev_break(j->loop, EVBREAK_ONE);
}

static const struct job_type check_type = {
    .name = "check",
    .uses = {true, true},
    .knows_pooler = true,
    .steps = steps,
    .failed = failed,
    .ended = ended,
};

/* The follower is asked as if it were the source, which it is a copy of. */
static const struct job_step follower_steps[] = {
    QUESTION("follower", check_follower, JOB_SOURCE, ask),
    {.name = NULL},
};

static bool follower_failed(struct job *j, const struct error *e)
{
    check_report_add(&check_of(j)->report, JOB_SOURCE, "follower-unreachable", "copy.follower",
                     e->detail[0] ? e->detail : e->what);
    return false;
}

static const struct job_type follower_type = {
    .name = "check follower",
    .uses = {true, false},
    .steps = follower_steps,
    .failed = follower_failed,
    .ended = ended,
};

static void run_follower(struct check *c)
{
    if (c->sync->follower.url == NULL || !c->is_finished)
        return;
    job_init(&c->job, c->loop, &follower_type, NULL, &c->sync->follower, NULL);
    c->job.conns[JOB_SOURCE].label = "follower";
    job_start(&c->job);
    ev_run(c->loop, 0);
    job_fini(&c->job);
}

static void run_job(struct check *c)
{
    job_init(&c->job, c->loop, &check_type, NULL, c->sync->source, c->sync->target);
    job_start(&c->job);
    ev_run(c->loop, 0);
    if (c->has_programs)
        check_programs_fini(&c->programs);
    job_fini(&c->job);
}

/* False when an end cannot be reached. */
static bool probe(struct check *c)
{
    const struct config_database *const ends[JOB_SIDES] = {c->sync->source, c->sync->target};

    for (int side = 0; side < JOB_SIDES; side++) {
        struct check_probe p;

        if (check_probe_run(&p, c->loop, &c->report, side, ends[side], c->sync->network_timeout_s,
                            &c->error))
            continue;
        if (c->error.hint[0] == '\0')
            error_hint(&c->error,
                       "Check the %s's URL, that the server runs, and that it can be reached "
                       "from this machine.",
                       side_names[side]);
        return false;
    }
    return true;
}

/* Under such a pooler even our settings would end up in the application's sessions. */
static bool must_stop(const struct check *c)
{
    return check_report_has(&c->report, "pooler-transaction") ||
           check_report_has(&c->report, "load-balanced");
}

static int print(struct check *c, bool json)
{
    if (error_is_set(&c->error)) {
        error_print(&c->error);
        return c->error.place[0] ? EXIT_USAGE : EXIT_FAILED;
    }
    if (json)
        check_report_print_json(&c->report, c->sync->name);
    else
        check_report_print_text(&c->report);
    return check_report_count(&c->report, CHECK_BLOCKER) > 0 ? EXIT_DIFFERENCES : EXIT_DONE;
}

int check_run(struct config *config, struct config_sync *s, bool json)
{
    struct check c = {.loop = job_loop(), .sync = s};
    int code;

    (void)config;
    check_report_init(&c.report);
    c.context = context_new(s);
    for (const char *const *key = (const char *const[]){"source_oids", "foreign", "nothing", NULL};
         *key; key++)
        json_object_set_new(c.context, *key, json_array());
    c.relations = json_array();
    if (probe(&c) && !must_stop(&c)) {
        run_job(&c);
        run_follower(&c);
    }
    code = print(&c, json);
    json_decref(c.relations);
    json_decref(c.context);
    check_report_fini(&c.report);
    return code;
}
