/* The first job of a stage: decides whether the schema is copied, runs pg_dump, and finds out what
 * of its archive the target lacks.
 *
 * What is always true: the decision is recorded at the target before anything is created there, so
 * that a start after a crash goes on and does not take the half of a schema for somebody's own. */
#include "schema_work.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "config.h"
#include "field.h"
#include "log.h"
#include "steady.h"
#include "sync.h"

#define VERSION_TIMEOUT_S 20.
#define DUMP_TIMEOUT_S 1800.
#define LIST_TIMEOUT_S 120.
#define LOOK_TIMEOUT_S 600. /* statements that look up or create many objects */

static struct schema_copy *of_prepare(struct job *j)
{
    return container_of(j, struct schema_copy, prepare);
}

/* ------------------------------------------------------------------ deciding */

static void prepare_begin(struct job *j)
{
    struct schema_copy *s = of_prepare(j);

    schema_run_stop(s);
    s->needs_person = false;
    s->is_ours = s->is_decided = false;
    s->tool_asked = 0;
    buf_clear(&s->exclude, 0);
    json_decref(s->tables);
    s->tables = json_array();
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

static void bind_stage(struct job *j, struct params *p)
{
    const struct schema_copy *s = of_prepare(j);

    params_text(p, s->sync->name);
    params_text(p, schema_stage_name(s));
}

static enum job_next begun(struct job *j, PGresult *r)
{
    (void)r;
    of_prepare(j)->is_ours = true;
    return JOB_NEXT;
}

static enum job_next take_settings(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);

    s->target_options = arena_strdup(s->arena, field_text(r, 0, "options"));
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ pg_dump */

static enum job_next tool_answered(struct schema_copy *s)
{
    struct schema_tool *tool = &s->tools.all[s->tool_asked++];

    tool->major = child_is_success(&s->child) ? schema_tool_version(s->child.output.data) : 0;
    return JOB_REPEAT;
}

static enum job_next choose_tool(struct schema_copy *s)
{
    struct error e;

    error_clear(&e);
    s->tool =
        schema_tool_choose(&s->tools, PQserverVersion(s->prepare.conns[JOB_SOURCE].pg) / 10000,
                           PQserverVersion(s->prepare.conns[JOB_TARGET].pg) / 10000, &e);
    return s->tool ? JOB_NEXT : schema_fail_for_person(s, &e);
}

static enum job_next ask_tool(struct job *j)
{
    struct schema_copy *s = of_prepare(j);
    const char *arguments[] = {"pg_dump", "--version", NULL};
    struct child_program p = {.arguments = arguments,
                              .files = {-1, -1},
                              .output_file = -1,
                              .timeout_s = VERSION_TIMEOUT_S};

    if (s->tool_asked == 0)
        s->tools = schema_tools_find(s->arena);
    if (s->tool_asked == s->tools.count)
        return choose_tool(s);
    p.path = s->tools.all[s->tool_asked].dump;
    return schema_run(s, "pg_dump --version", &p, tool_answered);
}

/* Minor releases keep an option pg_attver with every column, which their own pg_dump leaves out and
 * a newer major's may write out; no other server takes it. The archive's table of contents has the
 * statements as they are. */
static bool has_private_options(int archive)
{
    static const char option[] = "pg_attver=";
    struct stat st;
    bool found;
    void *at;

    if (fstat(archive, &st) != 0 || st.st_size == 0)
        return false;
    at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, archive, 0);
    if (at == MAP_FAILED)
        return false;
    found = memmem(at, (size_t)st.st_size, option, sizeof option - 1) != NULL;
    munmap(at, (size_t)st.st_size);
    return found;
}

static enum job_next dump_again(struct schema_copy *s)
{
    const struct schema_tool *own =
        schema_tool_of(&s->tools, PQserverVersion(s->prepare.conns[JOB_SOURCE].pg) / 10000);

    if (own == s->tool)
        own = NULL;
    log_event(own ? LOG_INFO : LOG_WARNING, "schema: this pg_dump is older than the source", "sync",
              s->sync->name, "program", s->tool->dump, "detail",
              "It writes out the option pg_attver, which no other server takes.", "hint",
              own ? NULL : "Install the newest minor release of the source's own major version.",
              NULL);
    if (own == NULL)
        return JOB_NEXT;
    s->tool = own;
    return JOB_REPEAT;
}

static enum job_next dumped(struct schema_copy *s)
{
    struct error e;

    if (child_is_success(&s->child))
        return has_private_options(s->archive) ? dump_again(s) : JOB_NEXT;
    error_clear(&e);
    child_error(&s->child, &e, "pg_dump could not read the schema of the source");
    if (s->child.errors.len > 0 && strstr(s->child.errors.data, "permission denied")) {
        error_hint(&e,
                   "At the source: GRANT USAGE ON SCHEMA and SELECT ON TABLE to our role, or leave "
                   "the table out under tables.exclude. `rebeco check` names all such tables.");
        return schema_fail_for_person(s, &e);
    }
    error_hint(&e, "It is tried again. If it waits for a lock, look for what holds a table with "
                   "ACCESS EXCLUSIVE.");
    return job_fail(&s->prepare, &e);
}

/* Our own schema as a pattern: quoted, so that nothing in it is special. */
static const char *quoted_pattern(struct arena *a, const char *name)
{
    struct buf b;
    const char *text;

    buf_init(&b);
    buf_text(&b, "--exclude-schema=\"");
    for (const char *s = name; *s; s++)
        buf_printf(&b, "%s%c", *s == '"' ? "\"" : "", *s);
    buf_text(&b, "\"");
    text = arena_strdup(a, b.data);
    buf_fini(&b);
    return text;
}

/* The arguments of pg_dump; in the job's arena. It holds all tables while it waits for one: in less
 * than a second it gives up, before the server would call that a deadlock, should somebody who has
 * the one want to alter another, and end a statement of the application's. */
static const char **dump_arguments(struct schema_copy *s)
{
    static const char *const fixed[] = {"pg_dump",
                                        "--format=custom",
                                        "--schema-only",
                                        "--no-password",
                                        "--encoding=UTF8",
                                        "--no-privileges",
                                        "--no-publications",
                                        "--no-subscriptions",
                                        "--no-security-labels",
                                        "--lock-wait-timeout=800"};
    enum { FIXED = sizeof fixed / sizeof *fixed };
    struct arena *a = s->prepare.arena;
    size_t n = FIXED + 3;
    const char **arguments;

    for (size_t i = 0; i < s->exclude.len; i += strlen(s->exclude.data + i) + 1)
        n++;
    arguments = arena_alloc(a, n * sizeof *arguments);
    memcpy(arguments, fixed, sizeof fixed);
    n = FIXED;
    arguments[n++] = quoted_pattern(a, "rebeco");
    arguments[n++] = arena_printf(a, "--dbname=%s", s->logins[JOB_SOURCE].conninfo);
    for (size_t i = 0; i < s->exclude.len; i += strlen(s->exclude.data + i) + 1)
        arguments[n++] = arena_printf(a, "--exclude-table=%s", s->exclude.data + i);
    return arguments;
}

static enum job_next dump(struct job *j)
{
    struct schema_copy *s = of_prepare(j);
    struct child_program p = {.path = s->tool->dump,
                              .environment = s->logins[JOB_SOURCE].environment,
                              .input = s->logins[JOB_SOURCE].passfile,
                              .files = {-1, -1},
                              .timeout_s = DUMP_TIMEOUT_S};
    struct error e;

    error_clear(&e);
    if (schema_take_earlier(s))
        return JOB_NEXT;
    if (!schema_memory(&s->archive, &e))
        return job_fail(j, &e);
    s->read_at = steady_now();
    p.arguments = dump_arguments(s);
    p.output_file = s->archive;
    return schema_run(s, "pg_dump", &p, dumped);
}

/* ------------------------------------------------------------------ what is in it */

/* The output of pg_restore --list; false, and the job has failed, when it is not whole. */
static bool is_listed(struct schema_copy *s)
{
    struct error e;

    if (child_is_success(&s->child) && !s->child.is_cut && s->child.output.len > 0)
        return true;
    error_clear(&e);
    child_error(&s->child, &e, "pg_restore could not list the schema of the source");
    job_fail(&s->prepare, &e);
    return false;
}

static enum job_next listed(struct schema_copy *s)
{
    struct error e;

    error_clear(&e);
    if (!is_listed(s))
        return JOB_FAILED;
    if (!schema_list_parse(&s->list, s->child.output.data, s->child.output.len, &e))
        return job_fail(&s->prepare, &e);
    return JOB_NEXT;
}

static enum job_next listed_section(struct schema_copy *s)
{
    if (!is_listed(s))
        return JOB_FAILED;
    schema_list_parse_section(&s->list, s->child.output.data, s->child.output.len);
    schema_list_decide(&s->list);
    return JOB_NEXT;
}

static enum job_next run_list(struct schema_copy *s, const char *option,
                              enum job_next (*ended)(struct schema_copy *s))
{
    const char *arguments[] = {"pg_restore", "--list", option, "/proc/self/fd/3", NULL};
    struct child_program p = {.path = s->tool->restore,
                              .arguments = arguments,
                              .files = {s->archive, -1},
                              .output_file = -1,
                              .timeout_s = LIST_TIMEOUT_S};

    return schema_run(s, "pg_restore --list", &p, ended);
}

static enum job_next list(struct job *j)
{
    return run_list(of_prepare(j), "--verbose", listed);
}

/* With --verbose it lists the entries of all sections. */
static enum job_next list_section(struct job *j)
{
    struct schema_copy *s = of_prepare(j);

    return run_list(s, s->stage == SCHEMA_PRE ? "--section=pre-data" : "--section=post-data",
                    listed_section);
}

/* The text with every byte that is not UTF-8 replaced. */
static const char *clean(struct arena *a, const char *text)
{
    char *copy = arena_strdup(a, text);
    json_t *probe = json_string(copy);

    for (char *c = copy; probe == NULL && *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    json_decref(probe);
    return copy;
}

/* A partition and its parent are the first two that its attaching needs. */
static void add_attached(const struct schema_list *l, const struct schema_entry *e, json_t *doc)
{
    const struct schema_entry *part, *parent;

    if (schema_entry_treatment(e) != SCHEMA_ATTACH || e->needs_count < 2)
        return;
    part = schema_list_find(l, e->needs[0]);
    parent = schema_list_find(l, e->needs[1]);
    if (part == NULL || parent == NULL)
        return;
    json_object_set_new(doc, "class", json_integer(part->class_oid));
    json_object_set_new(doc, "oid", json_integer(part->oid));
    json_object_set_new(doc, "parent", json_integer(parent->oid));
}

/* What follows the type in the listing: schema, name and owner. */
static const char *after_type(const struct schema_entry *e)
{
    return e->label + (e->type ? strlen(e->type->name) + 1 : 0);
}

static void bind_entries(struct job *j, struct params *p)
{
    struct schema_copy *s = of_prepare(j);
    json_t *all = json_array();
    char *text;

    for (int i = 0; i < s->list.count; i++) {
        const struct schema_entry *e = &s->list.entries[i];
        json_t *doc;

        if (e->is_elsewhere || (e->is_left_out && schema_entry_treatment(e) != SCHEMA_SELF))
            continue;
        doc =
            json_pack("{si sI sI si ss ss}", "id", e->id, "class", (json_int_t)e->class_oid, "oid",
                      (json_int_t)e->oid, "parent", 0, "type", e->type ? e->type->name : "OBJECT",
                      "label", clean(j->arena, after_type(e)));
        add_attached(&s->list, e, doc);
        json_array_append_new(all, doc);
    }
    text = json_dumps(all, JSON_COMPACT);
    params_text(p, arena_strdup(j->arena, text));
    free(text);
    json_decref(all);
}

static void take_identity(struct schema_copy *s, const PGresult *r, int row)
{
    struct schema_entry *e = schema_list_find(&s->list, atoi(PQgetvalue(r, row, 0)));

    if (e == NULL)
        return;
    e->object = arena_strdup(s->list.arena, PQgetvalue(r, row, 1));
    e->is_left_out = e->is_left_out || PQgetvalue(r, row, 2)[0] == 't';
    e->is_known = PQgetvalue(r, row, 3)[0] == 't';
    if (e->is_left_out && schema_entry_treatment(e) != SCHEMA_SELF)
        return;
    buf_text(&s->documents, s->documents.len > 0 ? "," : "[");
    buf_text(&s->documents, PQgetvalue(r, row, 4));
}

static enum job_next identified(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);

    buf_clear(&s->documents, 0);
    for (int row = 0; row < PQntuples(r); row++)
        take_identity(s, r, row);
    buf_text(&s->documents, s->documents.len > 0 ? "]" : "[]");
    schema_list_decide(&s->list);
    return JOB_NEXT;
}

static void bind_documents(struct job *j, struct params *p)
{
    bind_stage(j, p);
    params_text(p, of_prepare(j)->documents.data);
}

/* ------------------------------------------------------------------ extensions and extras */

/* Those entries for which `is_so`, as json of id, class and oid. */
static void bind_some(struct job *j, struct params *p, bool (*is_so)(const struct schema_entry *))
{
    struct schema_copy *s = of_prepare(j);
    json_t *all = json_array();
    char *text;

    for (int i = 0; i < s->list.count; i++) {
        const struct schema_entry *e = &s->list.entries[i];

        if (is_so(e))
            json_array_append_new(all,
                                  json_pack("{si sI sI}", "id", e->id, "class",
                                            (json_int_t)e->class_oid, "oid", (json_int_t)e->oid));
    }
    text = json_dumps(all, JSON_COMPACT);
    params_text(p, arena_strdup(j->arena, text));
    free(text);
    json_decref(all);
}

static bool is_extension(const struct schema_entry *e)
{
    return !e->is_elsewhere && schema_entry_treatment(e) == SCHEMA_SELF;
}

static bool is_present_index(const struct schema_entry *e)
{
    return e->is_there && e->type &&
           (strcmp(e->type->name, "INDEX") == 0 || strcmp(e->type->name, "CONSTRAINT") == 0);
}

static void bind_extensions(struct job *j, struct params *p)
{
    bind_some(j, p, is_extension);
}

static void bind_present_indexes(struct job *j, struct params *p)
{
    bind_some(j, p, is_present_index);
}

static enum job_next take_statements(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);

    buf_clear(&s->statements, 0);
    buf_text(&s->statements, PQgetvalue(r, 0, 0));
    return JOB_NEXT;
}

static void bind_statements(struct job *j, struct params *p)
{
    params_text(p, of_prepare(j)->statements.data);
}

static enum job_next ran_extensions(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);

    for (int row = 0; row < PQntuples(r); row++) {
        struct schema_entry *e = schema_list_find(&s->list, atoi(PQgetvalue(r, row, 0)));

        if (e == NULL)
            continue;
        free(e->message);
        e->message = mem_strdup(PQgetvalue(r, row, 1));
    }
    return JOB_NEXT;
}

static enum job_next ran_extras(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);

    for (int row = 0; row < PQntuples(r); row++) {
        const struct schema_entry *e = schema_list_find(&s->list, atoi(PQgetvalue(r, row, 0)));

        log_event(LOG_WARNING, "property of an index not copied", "sync", s->sync->name, "object",
                  e ? schema_entry_name(e) : "", "message", PQgetvalue(r, row, 1), NULL);
    }
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ what is there */

static enum job_next hold(struct job *j)
{
    return of_prepare(j)->is_early ? JOB_WAIT : JOB_NEXT;
}

static enum job_next states_before(struct job *j, PGresult *r)
{
    schema_take_states(of_prepare(j), r);
    return JOB_NEXT;
}

static void note(const struct schema_copy *s, const char *what, const char *which, const char *hint)
{
    log_event(LOG_NOTICE, "schema: not copied", "sync", s->sync->name, "what", what, "which", which,
              "hint", hint, NULL);
}

static void note_entries(const struct schema_copy *s)
{
    for (int i = 0; i < s->list.count; i++)
        if (!s->list.entries[i].is_elsewhere &&
            schema_entry_treatment(&s->list.entries[i]) == SCHEMA_NOTE)
            note(s, s->list.entries[i].type->name, s->list.entries[i].label, NULL);
}

static enum job_next noted(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);

    note_entries(s);
    if (s->stage != SCHEMA_PRE)
        return JOB_NEXT;
    if (PQgetvalue(r, 0, 0)[0] == 't')
        note(s, "privileges", NULL,
             "GRANT what other roles need at the target before the cutover.");
    if (PQgetvalue(r, 0, 1)[0] == 't')
        note(s, "default privileges", NULL, "Repeat ALTER DEFAULT PRIVILEGES at the target.");
    if (!PQgetisnull(r, 0, 2))
        note(s, "settings of the database and of roles", PQgetvalue(r, 0, 2),
             "Repeat ALTER DATABASE .. SET and ALTER ROLE .. SET at the target.");
    if (!PQgetisnull(r, 0, 3))
        log_event(LOG_NOTICE, "schema: extensions stay in their schemas", "sync", s->sync->name,
                  "which", PQgetvalue(r, 0, 3), "hint",
                  "An application that names their objects without the schema needs it in the "
                  "target's search_path: ALTER DATABASE .. SET search_path.",
                  NULL);
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ the first job */

static bool prepare_failed(struct job *j, const struct error *e)
{
    return schema_failed(of_prepare(j), e);
}

static const struct job_step prepare_steps[] = {
    {"look", &sql_schema_copy_look, JOB_TARGET, bind_sync, schema_decide_looked, NULL, NULL, 0},
    {"tables", &sql_schema_copy_tables, JOB_SOURCE, NULL, schema_decide_listed, NULL, NULL, 0},
    {"present", &sql_schema_copy_present, JOB_TARGET, schema_decide_bind, schema_decide, NULL, NULL,
     0},
    {"begin", &sql_schema_copy_begin, JOB_TARGET, bind_stage, begun, NULL, NULL, 0},
    {"settings", &sql_schema_copy_settings, JOB_TARGET, NULL, take_settings, NULL, NULL, 0},
    {"source login", NULL, JOB_SOURCE, NULL, NULL, schema_enter_source_login, NULL, 0},
    {"programs", NULL, JOB_SOURCE, NULL, NULL, ask_tool, NULL, 0},
    {"dump", NULL, JOB_SOURCE, NULL, NULL, dump, NULL, 0},
    {"list", NULL, JOB_SOURCE, NULL, NULL, list, NULL, 0},
    {"list-section", NULL, JOB_SOURCE, NULL, NULL, list_section, NULL, 0},
    {"identify", &sql_schema_copy_identify, JOB_SOURCE, bind_entries, identified, NULL, NULL,
     LOOK_TIMEOUT_S},
    {"clear", &sql_schema_copy_clear, JOB_TARGET, bind_stage, NULL, NULL, NULL, 0},
    {"store", &sql_schema_copy_store, JOB_TARGET, bind_documents, NULL, NULL, NULL, 0},
    {"extensions", &sql_schema_copy_extensions, JOB_SOURCE, bind_extensions, take_statements, NULL,
     NULL, 0},
    {"create-extensions", &sql_schema_copy_run, JOB_TARGET, bind_statements, ran_extensions, NULL,
     NULL, LOOK_TIMEOUT_S},
    {SCHEMA_HOLD, NULL, JOB_TARGET, NULL, NULL, hold, NULL, 0},
    {"compare", &sql_schema_copy_state, JOB_TARGET, bind_stage, states_before, NULL, NULL,
     LOOK_TIMEOUT_S},
    {"extras", &sql_schema_copy_extras, JOB_SOURCE, bind_present_indexes, take_statements, NULL,
     NULL, 0},
    {"run-extras", &sql_schema_copy_run, JOB_TARGET, bind_statements, ran_extras, NULL, NULL,
     LOOK_TIMEOUT_S},
    {"notes", &sql_schema_copy_notes, JOB_SOURCE, NULL, noted, NULL, NULL, 0},
    {NULL, NULL, JOB_SOURCE, NULL, NULL, NULL, NULL, 0},
};

const struct job_type schema_prepare_type = {
    .name = "schema-prepare",
    .uses = {true, true},
    .steps = prepare_steps,
    .begin = prepare_begin,
    .failed = prepare_failed,
    .ended = schema_prepared,
};
