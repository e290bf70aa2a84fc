/* The files of sql/ as prepared statements: each is prepared on a connection when it is first
 * executed there in a pipeline. */
#include "conn.h"
#include "mem.h"

static bool is_prepared(const struct conn *c, const struct sql *sql)
{
    for (int i = 0; i < c->prepared_count; i++)
        if (c->prepared[i] == sql)
            return true;
    return false;
}

static void remember_prepared(struct conn *c, const struct sql *sql)
{
    if (c->prepared_count == c->prepared_size) {
        c->prepared_size = c->prepared_size ? 2 * c->prepared_size : 16;
        c->prepared = mem_realloc(c->prepared, sizeof *c->prepared * (size_t)c->prepared_size);
    }
    c->prepared[c->prepared_count++] = sql;
}

void conn_execute(struct conn *c, const struct sql *sql, const struct params *p,
                  enum conn_rows rows, double timeout_s)
{
    if (!c->in_pipeline) {
        struct params none = {0};

        conn_query(c, sql->text, p ? p : &none, rows, timeout_s);
        return;
    }
    if (!is_prepared(c, sql)) {
        conn_prepare(c, sql->name, sql->text, p);
        remember_prepared(c, sql);
    }
    conn_execute_name(c, sql->name, p, rows, timeout_s);
}
