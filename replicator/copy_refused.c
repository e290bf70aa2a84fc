/* Chunks that go through a temporary table: those whose rows may be there already, and those that
 * have a row which the target refuses.
 *
 * A chunk that fails for a row is loaded again without the rows that are refused. Their keys go
 * into the change log at the source before the chunk is noted as done; schema/008_chunk.sql says
 * why nothing is lost so. The copy goes on, and when the table is followed, the search (poison.c)
 * names these rows one after the other, for `retry` and `skip`.
 *
 * Some values do not even enter a temporary table: a character that the target's encoding lacks, a
 * domain or an enum type that is narrower there, the name of a table or role that it has not
 * (regclass and its like). A chunk that fails so comes a last time, with each
 * row's key and values as bytes, which any server stores; they become values of their types at the
 * target, page by page and, where a page fails, row by row. A chunk is sent three times at most.
 *
 * Not so where keys cannot be logged: a follower is read, or the sync is two-way, where a logged
 * key is a change that may win. There the table stands still, as it does where too many rows are
 * refused: then it is no matter of single rows. */
#include <string.h>

#include "copy_steps.h"
#include "log.h"
#include "sqlstate.h"
#include "sync.h"

enum { REFUSED_MOST = 10000 };

/* ------------------------------------------------------------------ columns */

static void add_name(struct buf *b, const char *name)
{
    buf_text(b, b->len ? ",\"" : "{\"");
    for (const char *p = name; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_text(b, "\\");
        buf_append(b, p, 1);
    }
    buf_text(b, "\"");
}

static const char *end_names(struct job *j, struct buf *b)
{
    const char *names;

    buf_text(b, b->len ? "}" : "{}");
    names = arena_strdup(j->arena, b->data);
    buf_fini(b);
    return names;
}

const char *copy_column_names(struct job *j, const struct relation *rel)
{
    struct buf b = {0};

    for (int i = 0; i < rel->column_count; i++)
        add_name(&b, rel->columns[i].name);
    return end_names(j, &b);
}

const char *copy_key_names(struct job *j, const struct relation *rel)
{
    struct buf b = {0};

    for (int i = 0; i < rel->key_count; i++)
        add_name(&b, rel->key[i]);
    return end_names(j, &b);
}

/* Types need no quoting in an array. */
const char *copy_column_casts(struct job *j, const struct relation *rel)
{
    struct buf b = {0};

    for (int i = 0; i < rel->column_count; i++)
        buf_printf(&b, "%s%s", i ? "," : "{",
                   rel->columns[i].copy_cast ? rel->columns[i].copy_cast : "NULL");
    return end_names(j, &b);
}

/* ------------------------------------------------------------------ when */

static bool can_log(const struct sync *s)
{
    return s->other == NULL && s->config->follower.url == NULL;
}

/* A value names what the target has not. A constraint's function that is missing, or misses
 * something, is no matter of rows: the server says that first, and COPY after it. */
static bool is_name_in_value(const struct copy_job *c, const struct error *e)
{
    return c->is_loading && sqlstate_is_of_name(e->sqlstate) && strncmp(e->detail, "COPY ", 5) == 0;
}

bool copy_may_refuse(const struct copy_job *c, const struct error *e)
{
    return c->table->records == TABLE_KEY && !c->makes_key && can_log(c->sync) &&
           (!c->is_staged || (!c->is_parsed && c->is_loading)) &&
           (sqlstate_is_of_row(e->sqlstate) || is_name_in_value(c, e));
}

/* What the temporary table does not take, or a value that cannot be read (class 22), needs the
 * third way at once. */
enum copy_care copy_more_care(const struct copy_job *c, const struct error *e)
{
    bool is_value = c->is_loading && (strncmp(e->sqlstate, "22", 2) == 0 || is_name_in_value(c, e));

    return c->is_staged || is_value ? COPY_PARSED : COPY_STAGED;
}

bool copy_wants_staging(const struct table *t)
{
    return t->records == TABLE_KEY && (t->tolerant || t->care != COPY_PLAIN);
}

/* ------------------------------------------------------------------ around the chunk */

void copy_bind_staging(struct job *j, struct params *p)
{
    const struct table *t = copy_of(j)->table;

    params_text(p, t->target->schema);
    params_text(p, t->target->name);
    params_text(p, copy_column_names(j, t->source));
    params_text(p, copy_column_casts(j, t->source));
    params_text(p, copy_key_names(j, t->source));
    params_int(p, can_log(t->sync) ? REFUSED_MOST : 0);
    params_bool(p, copy_of(j)->is_parsed);
    params_bool(p, t->fires);
}

enum job_next copy_take_staging(struct job *j, PGresult *r)
{
    struct copy_job *c = copy_of(j);

    c->before = copy_value(j, r, 0);
    c->after = copy_value(j, r, 1);
    return JOB_NEXT;
}

enum job_next copy_enter_before(struct job *j)
{
    conn_query(job_conn(j, JOB_TARGET), copy_of(j)->before, NULL, CONN_TEXT, 60.);
    return JOB_WAIT;
}

enum job_next copy_enter_after(struct job *j)
{
    struct copy_job *c = copy_of(j);

    if (!c->is_staged)
        return JOB_NEXT;
    conn_query(job_conn(j, JOB_TARGET), c->after, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

enum job_next copy_take_after(struct job *j, PGresult *r)
{
    copy_of(j)->refused = copy_value(j, r, 0);
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ the refused rows' keys */

enum job_next copy_enter_source_end(struct job *j)
{
    struct copy_job *c = copy_of(j);

    if (!c->is_source_open)
        return JOB_NEXT;
    c->is_source_open = false;
    conn_query(job_conn(j, JOB_SOURCE), sql_commit.text, NULL, CONN_TEXT, 60.);
    return JOB_WAIT;
}

/* What was read in cannot write. */
enum job_next copy_enter_let_go(struct job *j)
{
    return copy_of(j)->refused ? copy_enter_source_end(j) : JOB_NEXT;
}

enum job_next copy_enter_refused(struct job *j)
{
    struct copy_job *c = copy_of(j);

    if (c->refused == NULL)
        return JOB_NEXT;
    params_clear(&j->params);
    params_int(&j->params, c->table->id);
    params_text(&j->params, c->refused);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_chunk_refused, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

enum job_next copy_take_refused(struct job *j, PGresult *r)
{
    const struct copy_job *c = copy_of(j);

    (void)r;
    log_event(LOG_WARNING, "rows are refused by the target", "sync", c->sync->name, "table",
              c->table->label, "chunk", log_int(c->number), "hint",
              "They are tried again when the rest of the table is there, and named then.", NULL);
    return JOB_NEXT;
}
