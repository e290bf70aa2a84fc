/* `pause`, `resume`, `kick`, `resync`, `retry`, `skip` and `direction`.
 *
 * A request is a row in rebeco.command at the target, one for each table, plus a NOTIFY; the
 * daemon answers in the row. The rows are sent once: a failure after that ends the command, and
 * what was sent stays and is carried out. */
#include "request.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "config_option.h"
#include "config_pattern.h"
#include "config_value.h"
#include "direction.h"
#include "field.h"

#define REQUEST_LIMIT_S 30.
#define REQUEST_LOOK_S 0.1

struct request {
    struct client client;
    const struct command_context *x;
    json_t *tables; /* what is asked for: [{"s": schema, "n": name}]; NULL: the whole sync */
    const char *verb;
    char *key;       /* skip: the row's key, a JSON array of texts; NULL: none */
    bool is_of_sync; /* the words after the command are no tables */
    char *ids;       /* of the rows that were sent, as an array's text; NULL before */
    bool is_held;    /* somebody holds the sync's lock: a daemon is there */
    bool is_refused; /* an answer was no */
};

static struct request *request_of(struct job *j)
{
    struct client *c = container_of(j, struct client, job);
    return container_of(c, struct request, client);
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, request_of(j)->x->sync->name);
}

/* ---------------------------------------------------------------- is there anything to ask */

static enum job_next result_look(struct job *j, PGresult *r)
{
    struct request *q = request_of(j);
    q->is_held = field_bool(r, 0, "is_held");
    return client_need_installed(j, r);
}

static enum job_next result_known(struct job *j, PGresult *r)
{
    struct request *q = request_of(j);
    const char *names = field_or_null(r, 0, "names");
    if (strcmp(q->verb, "kick") == 0 && q->x->wait && field_bool(r, 0, "is_paused"))
        fputs("rebeco: the sync is paused: this waits until `rebeco resume`\n", stderr);
    if (field_bool(r, 0, "is_known"))
        return q->x->operand_count > 0 && !q->is_of_sync ? JOB_NEXT : job_goto(j, "send");
    struct error e;
    error_clear(&e);
    error_set(&e, "the target does not know the sync \"%s\"", q->x->sync->name);
    error_hint(&e, "It knows: %s.", names != NULL ? names : "none yet; `rebeco run` makes them");
    return job_fail(j, &e);
}

/* ---------------------------------------------------------------- which tables */

/* Puts the tables that an operand means into the request: a pattern, or a name in any schema. */
static int add_matching(struct request *q, const PGresult *r, const char *pattern)
{
    int count = 0;
    for (int row = 0; row < PQntuples(r); row++) {
        const char *schema = field_or_null(r, row, "source_schema");
        const char *name = field_or_null(r, row, "source_name");
        if (!config_pattern_match(pattern, schema, name))
            continue;
        json_array_append_new(q->tables,
                              json_pack("{s:s, s:s, s:s?}", "s", schema, "n", name, "k", q->key));
        count++;
    }
    return count;
}

static enum job_next result_tables(struct job *j, PGresult *r)
{
    struct request *q = request_of(j);
    q->tables = json_array();
    for (int i = 0; i < (q->key ? 1 : q->x->operand_count); i++) {
        struct error ignored;
        error_clear(&ignored);
        const char *operand = q->x->operands[i];
        bool is_pattern = config_pattern_check(operand, &ignored);
        const char *pattern = is_pattern ? operand : arena_printf(j->arena, "*.%s", operand);
        error_clear(&ignored);
        if (config_pattern_check(pattern, &ignored) && add_matching(q, r, pattern) > 0)
            continue;
        struct error e;
        error_clear(&e);
        error_set(&e, "no table of the sync \"%s\" is meant by %s", q->x->sync->name, operand);
        error_hint(&e, "Write schema.table, with * and ? where wanted; a name with a dot in it in "
                       "double quotes. `rebeco status --json` lists the tables.");
        return job_fail(j, &e);
    }
    return JOB_NEXT;
}

/* ---------------------------------------------------------------- sending and waiting */

static void bind_send(struct job *j, struct params *p)
{
    struct request *q = request_of(j);
    params_text(p, q->x->sync->name);
    params_text(p, q->verb);
    char *tables = q->tables != NULL ? json_dumps(q->tables, JSON_COMPACT) : NULL;
    params_text(p, arena_strdup(j->arena, tables));
    free(tables);
}

static enum job_next result_send(struct job *j, PGresult *r)
{
    struct request *q = request_of(j);
    q->ids = mem_strdup(field_or_null(r, 0, "ids"));
    if (!q->is_held)
        fputs("rebeco: no daemon runs on this sync now; the request is left for the next one\n",
              stderr);
    bool is_kick = strcmp(q->x->command->name, "kick") == 0;
    return is_kick && !q->x->wait ? JOB_DONE : JOB_NEXT;
}

static void bind_answers(struct job *j, struct params *p)
{
    params_text(p, request_of(j)->ids);
    params_text(p, request_of(j)->x->sync->name);
}

static void print_answer(struct request *q, const PGresult *r, int row)
{
    const char *label = field_or_null(r, row, "label"), *answer = field_or_null(r, row, "answer");
    bool is_ok = field_bool(r, row, "ok");
    FILE *to = is_ok ? stdout : stderr;
    fprintf(to, "%s%s%s\n", label != NULL ? label : q->x->sync->name, ": ",
            answer != NULL ? answer
            : is_ok        ? "done"
                           : "refused");
    q->is_refused = q->is_refused || !is_ok;
}

static enum job_next result_answers(struct job *j, PGresult *r)
{
    struct request *q = request_of(j);
    for (int row = 0; row < PQntuples(r); row++) {
        q->is_held = field_bool(r, row, "is_held");
        if (!field_bool(r, row, "is_done"))
            return JOB_NEXT;
    }
    for (int row = 0; row < PQntuples(r); row++)
        print_answer(q, r, row);
    return JOB_DONE;
}

static enum job_next enter_pause(struct job *j)
{
    return job_sleep(j, REQUEST_LOOK_S, job_goto(j, "answers"));
}

static const struct job_step steps[] = {
    {.name = "look",
     .sql = &sql_request_look,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_look},
    {.name = "known",
     .sql = &sql_request_known,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_known},
    {.name = "tables",
     .sql = &sql_request_tables,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_tables},
    {.name = "send",
     .sql = &sql_command_send,
     .side = JOB_TARGET,
     .bind = bind_send,
     .result = result_send},
    {.name = "answers",
     .sql = &sql_command_answers,
     .side = JOB_TARGET,
     .bind = bind_answers,
     .result = result_answers},
    {.name = "pause", .enter = enter_pause},
    {.name = NULL},
};

static const struct job_type request_type = {
    .name = "request",
    .uses = {[JOB_TARGET] = true},
    .steps = steps,
    .failed = client_failed,
    .ended = client_ended,
};

/* ---------------------------------------------------------------- the command */

bool request_timeout(const struct command_context *x, double *seconds, struct error *e)
{
    static const struct config_option option = {
        .path = "--timeout", .type = OPTION_DURATION, .min = 0, .max = 30 * 86400.};
    struct config_text t = {.text = x->timeout};
    return x->timeout == NULL || config_value_set(&option, seconds, &t, x->config->arena, e);
}

static void say_unanswered(const struct request *q, struct error *e)
{
    if (q->is_held) {
        error_set(e, "the daemon has not answered in time");
        error_hint(e, "The request waits at the target and will be carried out. `rebeco status` "
                      "says what the daemon does now.");
        return;
    }
    error_set(e, "no daemon answered: none runs on the sync \"%s\"", q->x->sync->name);
    error_hint(e, "The request waits at the target: the next `rebeco run` carries it out.");
}

static int ask(struct request *q, double limit_s)
{
    struct error e;
    error_clear(&e);
    bool is_answered = client_run(&q->client, limit_s, &e);
    if (!is_answered && !error_is_set(&e))
        say_unanswered(q, &e);
    if (!is_answered)
        error_print(&e);
    return is_answered && !q->is_refused ? EXIT_DONE : EXIT_FAILED;
}

/* `skip TABLE KEY...`: the key's values, in its columns' order. */
static char *read_key(const struct command_context *x)
{
    json_t *list = json_array();
    for (int i = 1; i < x->operand_count; i++)
        json_array_append_new(list, json_string(x->operands[i]));
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

/* What the daemon is asked for, by the word that it knows. */
static bool choose_verb(struct request *q, struct error *e)
{
    const struct command_context *x = q->x;
    const char *scope = x->large_objects;
    q->verb = x->command->name;
    if (strcmp(q->verb, "resync") != 0)
        return true;
    if ((scope != NULL) == (x->operand_count > 0)) {
        error_set(e, "`rebeco resync` needs tables, or --large-objects, and not both");
        error_hint(e, "%s", "\"*.*\" means every table.");
        return false;
    }
    if (scope == NULL)
        return true;
    q->verb = strcmp(scope, "new") == 0   ? "large-objects-new"
              : strcmp(scope, "all") == 0 ? "large-objects-all"
                                          : NULL;
    if (q->verb == NULL) {
        error_set(e, "--large-objects does not know \"%s\"", scope);
        error_hint(e, "%s", "It is `--large-objects new` or `--large-objects all`.");
    }
    return q->verb != NULL;
}

/* `direction WORD`: the word goes where a row's key would be. */
static bool read_direction(struct request *q, struct error *e)
{
    enum direction d;

    q->is_of_sync = true;
    if (!direction_read(q->x->operands[0], &d)) {
        error_set(e, "there is no direction \"%s\"", q->x->operands[0]);
        error_hint(e, "It is source-to-target, both or target-to-source.");
        return false;
    }
    q->tables = json_pack("[{s:s}]", "k", q->x->operands[0]);
    return true;
}

int request_run(struct command_context *x)
{
    struct request q = {.x = x};
    struct error e;
    double limit_s = x->wait ? 0 : REQUEST_LIMIT_S; /* for ever: a backlog may take hours */
    error_clear(&e);
    if (!choose_verb(&q, &e) || !request_timeout(x, &limit_s, &e))
        return command_usage_error(&e);
    if (strcmp(x->command->name, "direction") == 0 && !read_direction(&q, &e))
        return command_usage_error(&e);
    if (strcmp(x->command->name, "skip") == 0)
        q.key = read_key(x);
    client_init(&q.client, x, &request_type, "target", x->sync->target);
    int code = ask(&q, limit_s);
    client_fini(&q.client);
    json_decref(q.tables);
    free(q.ids);
    free(q.key);
    return code;
}
