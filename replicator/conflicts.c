/* `conflicts`, `conflicts show ID` and `conflicts replay ID`: reads rebeco.conflict at the target,
 * and writes there like the application would. Asks no daemon: one that runs sends on what was
 * written, one that is started later does too. */
#include "conflicts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "config_option.h"
#include "config_pattern.h"
#include "config_value.h"
#include "field.h"

#define LIST_LINES "100"
#define LIMIT_S 60.

struct conflicts {
    struct client client;
    const struct command_context *x;
    json_t *tables;     /* those that --table means, [{"s": schema, "n": name}]; NULL: all */
    double since_s;     /* 0: all */
    long long id;       /* show, replay */
    const char *wanted; /* replay: whose version; NULL: the one that has lost */
};

static struct conflicts *conflicts_of(struct job *j)
{
    struct client *c = container_of(j, struct client, job);

    return container_of(c, struct conflicts, client);
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, conflicts_of(j)->x->sync->name);
}

static enum job_next take_look(struct job *j, PGresult *r)
{
    return client_need_installed(j, r);
}

static void print(struct buf *b)
{
    if (b->len > 0)
        fwrite(b->data, 1, b->len, stdout);
    buf_fini(b);
}

static json_t *read_json(const char *text)
{
    return text ? json_loads(text, JSON_DECODE_ANY, NULL) : json_null();
}

/* ------------------------------------------------------------------ the list */

static enum job_next take_tables(struct job *j, PGresult *r)
{
    struct conflicts *c = conflicts_of(j);
    const char *pattern = c->x->table;
    struct error ignored;

    if (pattern == NULL)
        return JOB_NEXT;
    error_clear(&ignored);
    if (!config_pattern_check(pattern, &ignored))
        pattern = arena_printf(j->arena, "*.%s", pattern);
    c->tables = json_array();
    for (int i = 0; i < PQntuples(r); i++) {
        const char *schema = field_or_null(r, i, "table_schema");
        const char *name = field_or_null(r, i, "table_name");

        if (config_pattern_match(pattern, schema, name))
            json_array_append_new(c->tables, json_pack("{s:s, s:s}", "s", schema, "n", name));
    }
    return JOB_NEXT;
}

static void bind_list(struct job *j, struct params *p)
{
    struct conflicts *c = conflicts_of(j);
    char *tables = c->tables ? json_dumps(c->tables, JSON_COMPACT) : NULL;

    params_text(p, c->x->sync->name);
    params_text(p, arena_strdup(j->arena, tables));
    params_text(p, c->x->kind);
    params_text(p, arena_printf(j->arena, "%.3f", c->since_s));
    params_text(p, c->x->json ? NULL : LIST_LINES);
    free(tables);
}

/* As the server wrote them: a number keeps all its digits. */
static enum job_next list_json(const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++)
        printf("%s%s", i > 0 ? ",\n " : "[", field_or_null(r, i, "doc"));
    puts(PQntuples(r) > 0 ? "]" : "[]");
    return JOB_DONE;
}

static enum job_next take_list(struct job *j, PGresult *r)
{
    struct conflicts *c = conflicts_of(j);
    long long total = PQntuples(r) ? strtoll(field_or_null(r, 0, "total"), NULL, 10) : 0;
    bool is_part = c->tables || c->x->kind || c->since_s > 0;
    struct buf b = {0};

    if (c->x->json)
        return list_json(r);
    for (int i = 0; i < PQntuples(r); i++) {
        json_t *doc = read_json(field_or_null(r, i, "head"));

        conflicts_show_line(&b, doc);
        json_decref(doc);
    }
    if (total > PQntuples(r))
        buf_printf(&b, "  and %lld more; choose with --table, --kind and --since, or take --json\n",
                   total - PQntuples(r));
    if (total == 0)
        buf_printf(&b, "no conflicts are on record%s\n", is_part ? " that you have asked for" : "");
    else
        buf_text(&b, "`rebeco conflicts show ID` prints both versions of a row.\n");
    print(&b);
    return JOB_DONE;
}

static const struct job_step list_steps[] = {
    {.name = "look",
     .sql = &sql_request_look,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_look},
    {.name = "tables",
     .sql = &sql_conflicts_tables,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_tables},
    {.name = "list",
     .sql = &sql_conflicts_list,
     .side = JOB_TARGET,
     .bind = bind_list,
     .result = take_list},
    {.name = NULL},
};

/* ------------------------------------------------------------------ one of them */

static void bind_one(struct job *j, struct params *p)
{
    const struct conflicts *c = conflicts_of(j);

    params_text(p, c->x->sync->name);
    params_int(p, c->id);
}

static enum job_next fail_unknown(struct job *j)
{
    const struct conflicts *c = conflicts_of(j);
    const char *what =
        arena_printf(j->arena, "the sync \"%s\" has no conflict %lld", c->x->sync->name, c->id);

    return client_refuse(j, what, "`rebeco conflicts` lists them, with their numbers.");
}

static void show_one(const PGresult *r)
{
    json_t *doc = read_json(field_or_null(r, 0, "head"));
    json_t *source = read_json(field_or_null(r, 0, "source_texts"));
    json_t *target = read_json(field_or_null(r, 0, "target_texts"));
    struct conflict_view v = {.doc = doc,
                              .source = source,
                              .target = target,
                              .row_now = field_or_null(r, 0, "row_now"),
                              .state = field_or_null(r, 0, "state")};
    struct buf b = {0};

    conflicts_show_one(&b, &v);
    print(&b);
    json_decref(doc);
    json_decref(source);
    json_decref(target);
}

static enum job_next take_one(struct job *j, PGresult *r)
{
    if (PQntuples(r) == 0)
        return fail_unknown(j);
    if (conflicts_of(j)->x->json)
        puts(field_or_null(r, 0, "doc"));
    else
        show_one(r);
    return JOB_DONE;
}

static const struct job_step show_steps[] = {
    {.name = "look",
     .sql = &sql_request_look,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_look},
    {.name = "show",
     .sql = &sql_conflict_show,
     .side = JOB_TARGET,
     .bind = bind_one,
     .result = take_one},
    {.name = NULL},
};

static void bind_replay(struct job *j, struct params *p)
{
    bind_one(j, p);
    params_text(p, conflicts_of(j)->wanted);
}

static enum job_next take_replay(struct job *j, PGresult *r)
{
    const struct conflicts *c = conflicts_of(j);

    if (PQntuples(r) == 0)
        return fail_unknown(j);
    printf("conflict %lld: %s; the daemon sends it on to the source\n", c->id,
           field_or_null(r, 0, "answer"));
    return JOB_DONE;
}

static const struct job_step replay_steps[] = {
    {.name = "look",
     .sql = &sql_request_look,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_look},
    {.name = "replay",
     .sql = &sql_conflict_replay,
     .side = JOB_TARGET,
     .bind = bind_replay,
     .result = take_replay},
    {.name = NULL},
};

/* ------------------------------------------------------------------ the command */

#define TYPE(which)                                                                                \
    {                                                                                              \
        .name = "conflicts", .uses = {[JOB_TARGET] = true}, .steps = which,                        \
        .failed = client_failed, .ended = client_ended,                                            \
    }

static const struct job_type list_type = TYPE(list_steps);
static const struct job_type show_type = TYPE(show_steps);
static const struct job_type replay_type = TYPE(replay_steps);

static bool read_since(struct conflicts *c, struct error *e)
{
    static const struct config_option option = {
        .path = "--since", .type = OPTION_DURATION, .min = 0.001, .max = 36500 * 86400.};
    struct config_text t = {.text = c->x->since};

    return c->x->since == NULL ||
           config_value_set(&option, &c->since_s, &t, c->x->config->arena, e);
}

/* The words after the command; NULL and the error when they are none. */
static const struct job_type *read_operands(struct conflicts *c, struct error *e)
{
    char **words = c->x->operands;
    int count = c->x->operand_count;
    bool is_show = count > 0 && strcmp(words[0], "show") == 0;
    bool is_replay = count > 0 && strcmp(words[0], "replay") == 0;
    char *end = NULL;

    if (count == 0)
        return &list_type;
    c->id = count > 1 ? strtoll(words[1], &end, 10) : 0;
    c->wanted = count > 2 ? words[2] : NULL;
    if (!(is_show && count == 2) && !(is_replay && count >= 2)) {
        error_set(e, "`rebeco conflicts` does not know what to do with \"%s\"", words[0]);
        error_hint(e, "It is `conflicts`, `conflicts show ID` or `conflicts replay ID "
                      "[source|target]`.");
        return NULL;
    }
    if (end == words[1] || *end != '\0' || c->id <= 0) {
        error_set(e, "\"%s\" is not the number of a conflict", words[1]);
        error_hint(e, "`rebeco conflicts` lists them, with their numbers.");
        return NULL;
    }
    if (c->wanted && strcmp(c->wanted, "source") != 0 && strcmp(c->wanted, "target") != 0) {
        error_set(e, "\"%s\" is neither source nor target", c->wanted);
        error_hint(e, "It is whose version of the row both ends are to have.");
        return NULL;
    }
    return is_show ? &show_type : &replay_type;
}

int conflicts_run(struct command_context *x)
{
    struct conflicts c = {.x = x};
    const struct job_type *type;
    struct error e;
    bool ok;

    error_clear(&e);
    type = read_operands(&c, &e);
    if (type == NULL || !read_since(&c, &e))
        return command_usage_error(&e);
    client_init(&c.client, x, type, "target", x->sync->target);
    ok = client_run(&c.client, LIMIT_S, &e);
    if (!ok && !error_is_set(&e))
        error_set(&e, "the target has not answered within a minute");
    if (!ok)
        error_print(&e);
    client_fini(&c.client);
    json_decref(c.tables);
    return ok ? EXIT_DONE : EXIT_FAILED;
}
