/* Set-based apply without staging tables: each slice of rows is one INSERT .. SELECT FROM
 * unnest(..) ON CONFLICT DO UPDATE with one array parameter per column, so that a row costs the
 * server no parsing, no round trip and no catalog change, and the daemon a copy of its bytes.
 *
 * Removals of a slice go before its writes, because a row may take over a unique value of one that
 * is gone. Where that is not enough (values that move between rows that stay, over slices), the
 * statement fails with a unique violation and the batch is run again with APPLY_REMOVE first.
 *
 * Rows without a key are removed by their image, in one statement for all of the batch as far as
 * memory allows, since each may cost a scan of the table; they come before the rows that are
 * written.
 */
#include "apply.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLICE_BYTES = 256 * 1024,
    SLICE_ROWS = 2000,
    LARGE_BYTES = 1024 * 1024,
    IMAGES_BYTES = 8 * 1024 * 1024,
    WHOLE_BYTES = 8 * 1024 * 1024,
    ARRAY_HEADER = 20, /* dimensions, flags, element type, length, lower bound */
    KEEP_BYTES = 512 * 1024
};

#define STATEMENT_TIMEOUT_S 0. /* a slice may wait for locks of readers' own making */

/* ------------------------------------------------------------------ arrays */

static void array_start(struct apply_array *a, Oid element)
{
    buf_clear(&a->bytes, KEEP_BYTES);
    buf_u32(&a->bytes, 1);
    buf_u32(&a->bytes, 0);
    buf_u32(&a->bytes, element);
    buf_u32(&a->bytes, 0);
    buf_u32(&a->bytes, 1);
    a->count = 0;
    a->has_null = false;
}

static size_t array_add(struct apply_array *a, const PGresult *r, int field)
{
    int len = PQgetlength(r, 0, field);

    a->count++;
    if (PQgetisnull(r, 0, field)) {
        a->has_null = true;
        buf_u32(&a->bytes, UINT32_MAX);
        return 4;
    }
    buf_u32(&a->bytes, (uint32_t)len);
    buf_append(&a->bytes, PQgetvalue(r, 0, field), (size_t)len);
    return 4 + (size_t)len;
}

static void array_finish(struct apply_array *a)
{
    buf_set_u32(&a->bytes, 4, a->has_null);
    buf_set_u32(&a->bytes, 12, (uint32_t)a->count);
}

static void arrays_fit(struct apply_array **arrays, int *size, int count)
{
    if (count <= *size)
        return;
    *arrays = mem_realloc(*arrays, sizeof **arrays * (size_t)count);
    memset(*arrays + *size, 0, sizeof **arrays * (size_t)(count - *size));
    *size = count;
}

static void arrays_free(struct apply_array *arrays, int size)
{
    for (int i = 0; i < size; i++)
        buf_fini(&arrays[i].bytes);
    free(arrays);
}

/* ------------------------------------------------------------------ what is on its way */

static void sent_push(struct apply *a, struct table *t, size_t bytes, bool counts)
{
    struct apply_sent *s = ring_push(&a->sent);

    *s = (struct apply_sent){.table = t, .bytes = bytes, .counts = counts};
    a->bytes_sent += bytes;
}

/* How many rows a statement has written; one that removes images says it in its result. */
static int64_t rows_of(const PGresult *r)
{
    if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1)
        return strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    return strtoll(PQcmdTuples((PGresult *)(uintptr_t)r), NULL, 10);
}

void apply_sent_about(struct apply *a, struct table *t)
{
    sent_push(a, t, 0, false);
}

void apply_sent_other(struct apply *a)
{
    apply_sent_about(a, NULL);
}

void apply_sent_text(struct apply *a, struct table *t, struct arena *arena, const char **answer)
{
    struct apply_sent *s = ring_push(&a->sent);

    *s = (struct apply_sent){.table = t, .arena = arena, .answer = answer};
}

/* What the server has passed over, since another statement had failed before it. */
static void forget_prepared(struct apply *a, int id)
{
    for (int i = 0; i < a->prepared_count; i++)
        if (a->prepared[i] == id)
            a->prepared[i] = a->prepared[--a->prepared_count];
}

struct table *apply_result(struct apply *a, const PGresult *r)
{
    const struct apply_sent *first = ring_first(&a->sent);
    struct apply_sent s;

    if (first == NULL)
        return NULL;
    s = *first;
    ring_pop(&a->sent);
    a->bytes_sent -= s.bytes;
    if (s.prepares && PQresultStatus(r) != PGRES_COMMAND_OK)
        forget_prepared(a, s.prepares);
    if (s.counts &&
        (PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK)) {
        int64_t rows = rows_of(r);

        a->rows_written += rows;
        s.table->rows_uncommitted += rows;
    }
    for (int i = 0; s.answer && PQresultStatus(r) == PGRES_TUPLES_OK && i < PQnfields(r); i++)
        s.answer[i] = arena_strdup(s.arena, PQgetvalue(r, 0, i));
    return s.table;
}

bool apply_is_full(const struct apply *a, int64_t limit_bytes)
{
    return (int64_t)a->bytes_sent > limit_bytes;
}

/* ------------------------------------------------------------------ statements */

enum statement { WRITE, REMOVE, CLEAR, WRITE_LARGE };

static const char *statement_text(const struct table *t, enum statement what)
{
    switch (what) {
    case WRITE:
        return t->upsert_sql;
    case REMOVE:
        return t->remove_sql;
    case CLEAR:
        return t->clear_sql;
    case WRITE_LARGE:
        return t->upsert_large_sql;
    }
    return NULL;
}

static bool is_prepared(const struct apply *a, int id)
{
    for (int i = 0; i < a->prepared_count; i++)
        if (a->prepared[i] == id)
            return true;
    return false;
}

/* The Parse has a result of its own, which is counted as one about `about`. */
static void prepare(struct apply *a, const struct table *t, enum statement what, const char *name,
                    struct table *about)
{
    int id = 4 * t->plan + (int)what + 1;
    struct apply_sent *s;

    if (is_prepared(a, id))
        return;
    if (a->prepared_count == a->prepared_size) {
        a->prepared_size = a->prepared_size ? 2 * a->prepared_size : 64;
        a->prepared = mem_realloc(a->prepared, sizeof *a->prepared * (size_t)a->prepared_size);
    }
    a->prepared[a->prepared_count++] = id;
    conn_prepare(a->conn, name, statement_text(t, what), NULL);
    s = ring_push(&a->sent);
    *s = (struct apply_sent){.table = about, .prepares = id};
}

static void name_statement(const struct table *t, enum statement what, char *name, size_t size)
{
    static const char letters[] = "wrcl";

    snprintf(name, size, "rebeco_%c%d", letters[what], t->plan);
}

void apply_prepare(struct apply *a, const struct table *t)
{
    char name[32];

    for (int what = WRITE; what <= CLEAR; what++) {
        name_statement(t, (enum statement)what, name, sizeof name);
        prepare(a, t, (enum statement)what, name, NULL);
    }
}

void apply_began(struct apply *a)
{
    a->is_firing = false;
}

void apply_take_role(struct apply *a, const struct table *t)
{
    const struct sql *role = t->fires ? &sql_role_origin : &sql_role_replica;

    if (!a->may_switch || t->fires == a->is_firing)
        return;
    conn_query(a->conn, role->text, NULL, CONN_TEXT, STATEMENT_TIMEOUT_S);
    apply_sent_other(a);
    a->is_firing = t->fires;
}

static void execute(struct apply *a, struct table *t, enum statement what)
{
    char name[32];
    size_t bytes = 0;

    apply_take_role(a, t);
    name_statement(t, what, name, sizeof name);
    prepare(a, t, what, name, t);
    for (int i = 0; i < a->params.count; i++)
        bytes += (size_t)a->params.lengths[i];
    conn_execute_name(a->conn, name, &a->params, CONN_TEXT, STATEMENT_TIMEOUT_S);
    sent_push(a, t, bytes, true);
}

static void send_arrays(struct apply *a, struct apply_array *arrays, int count, bool by_key)
{
    const struct relation *r = a->table->source;

    if (count == 0 || arrays[0].count == 0)
        return;
    params_clear(&a->params);
    for (int i = 0; i < count; i++) {
        const struct column *c = &r->columns[by_key ? a->key_columns[i] : i];

        array_finish(&arrays[i]);
        params_binary(&a->params, arrays[i].bytes.data, (int)arrays[i].bytes.len, c->array_oid);
    }
    execute(a, a->table, by_key ? REMOVE : WRITE);
    for (int i = 0; i < count; i++)
        array_start(&arrays[i], r->columns[by_key ? a->key_columns[i] : i].element_oid);
}

/* The columns by which a row is found: its key, or all that it has. */
static int identity_count(const struct table *t)
{
    return t->records == TABLE_KEY ? t->source->key_count : t->source->column_count;
}

static void send_slice(struct apply *a)
{
    send_arrays(a, a->removes, identity_count(a->table), true);
    send_arrays(a, a->writes, a->table->source->column_count, false);
    a->bytes = 0;
    conn_flush(a->conn);
}

const struct params *apply_one_row(struct apply *a, struct table *t, const PGresult *r)
{
    const struct relation *rel = t->source;

    apply_open(a, t, APPLY_ALL);
    params_clear(&a->params);
    for (int i = 0; i < rel->column_count; i++) {
        array_add(&a->writes[i], r, 1 + i);
        array_finish(&a->writes[i]);
        params_binary(&a->params, a->writes[i].bytes.data, (int)a->writes[i].bytes.len,
                      rel->columns[i].array_oid);
    }
    a->table = NULL;
    return &a->params;
}

void apply_clear(struct apply *a, struct table *t)
{
    params_clear(&a->params);
    execute(a, t, CLEAR);
}

void apply_clear_but(struct apply *a, struct table *t, int capture_id, const char *winners,
                     const char *survivors, const char *until)
{
    params_clear(&a->params);
    params_int(&a->params, capture_id);
    params_text(&a->params, winners);
    params_text(&a->params, survivors);
    params_text(&a->params, until);
    conn_query(a->conn, sql_two_way_clear.text, &a->params, CONN_TEXT, STATEMENT_TIMEOUT_S);
    sent_push(a, t, 0, false);
}

void apply_merge(struct apply *a, struct table *t, int capture_id, const char *rows, bool anew,
                 bool has_sums)
{
    params_clear(&a->params);
    params_int(&a->params, capture_id);
    params_text(&a->params, rows);
    params_bool(&a->params, anew);
    params_bool(&a->params, has_sums);
    conn_query(a->conn, sql_merge_write.text, &a->params, CONN_TEXT, STATEMENT_TIMEOUT_S);
    sent_push(a, t, strlen(rows), true);
}

/* ------------------------------------------------------------------ rows */

static void find_key_columns(struct apply *a)
{
    const struct relation *r = a->table->source;
    int count = identity_count(a->table);

    a->key_columns = mem_realloc(a->key_columns, sizeof *a->key_columns * (size_t)(count + 1));
    for (int k = 0; k < count; k++)
        a->key_columns[k] =
            a->table->records == TABLE_KEY ? (int)(relation_column(r, r->key[k]) - r->columns) : k;
}

void apply_open(struct apply *a, struct table *t, enum apply_mode mode)
{
    const struct relation *r = t->source;

    a->table = t;
    a->mode = mode;
    a->bytes = 0;
    a->is_whole = false;
    find_key_columns(a);
    arrays_fit(&a->writes, &a->writes_size, r->column_count);
    arrays_fit(&a->removes, &a->removes_size, identity_count(t));
    for (int i = 0; i < r->column_count; i++)
        array_start(&a->writes[i], r->columns[i].element_oid);
    for (int k = 0; k < identity_count(t); k++)
        array_start(&a->removes[k], r->columns[a->key_columns[k]].element_oid);
}

static bool is_large(const struct apply *a, const PGresult *r)
{
    size_t bytes = 0;

    /* Rows that refer to one another are one statement. */
    if (a->table->upsert_large_sql == NULL || a->is_whole)
        return false;
    for (int i = 1; i < PQnfields(r); i++)
        bytes += (size_t)PQgetlength(r, 0, i);
    return bytes >= LARGE_BYTES;
}

/* A large row is a statement of its own, sent from where libpq holds it: in an array it would be in
 * memory once more. */
static void send_large(struct apply *a, const PGresult *r)
{
    const struct relation *rel = a->table->source;

    send_slice(a);
    params_clear(&a->params);
    for (int i = 0; i < rel->column_count; i++)
        params_binary(&a->params, PQgetisnull(r, 0, 1 + i) ? NULL : PQgetvalue(r, 0, 1 + i),
                      PQgetlength(r, 0, 1 + i), rel->columns[i].element_oid);
    execute(a, a->table, WRITE_LARGE);
    conn_flush(a->conn);
}

/* Field 0 says whether the row is there; generated columns are read and left out. */
void apply_row(struct apply *a, const PGresult *r)
{
    const struct relation *rel = a->table->source;
    bool is_gone = PQgetisnull(r, 0, 0);

    if (is_gone && a->mode == APPLY_WRITE)
        return;
    if (is_gone || a->mode == APPLY_REMOVE)
        for (int k = 0; k < identity_count(a->table); k++)
            a->bytes += array_add(&a->removes[k], r, 1 + a->key_columns[k]);
    else if (is_large(a, r))
        send_large(a, r);
    else
        for (int i = 0; i < rel->column_count; i++)
            a->bytes += array_add(&a->writes[i], r, 1 + i);
}

void apply_send_full(struct apply *a)
{
    if (a->table == NULL)
        return;
    if (a->table->records == TABLE_KEY || a->writes[0].count > 0) {
        if (a->bytes >= (a->is_whole ? WHOLE_BYTES : SLICE_BYTES) ||
            (!a->is_whole && a->writes[0].count + a->removes[0].count >= SLICE_ROWS))
            send_slice(a);
    } else if (a->bytes >= IMAGES_BYTES) {
        send_slice(a);
    }
}

void apply_close(struct apply *a)
{
    if (a->table)
        send_slice(a);
    a->table = NULL;
}

void apply_drop(struct apply *a)
{
    a->table = NULL;
    a->bytes = 0;
}

/* ------------------------------------------------------------------ life */

void apply_init(struct apply *a, struct conn *conn)
{
    memset(a, 0, sizeof *a);
    ring_init(&a->sent, sizeof(struct apply_sent));
    a->conn = conn;
}

void apply_reset(struct apply *a)
{
    a->table = NULL;
    a->bytes = 0;
    a->bytes_sent = 0;
    ring_clear(&a->sent);
    a->prepared_count = 0;
    a->rows_written = 0;
}

void apply_fini(struct apply *a)
{
    arrays_free(a->writes, a->writes_size);
    arrays_free(a->removes, a->removes_size);
    free(a->key_columns);
    ring_fini(&a->sent);
    free(a->prepared);
    params_fini(&a->params);
}
