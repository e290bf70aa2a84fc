/* Writes changed rows at the target: rows come one by one, are gathered into one array per column,
 * and go out as one pipelined statement per slice. The caller opens the transaction and ends it. */
#ifndef APPLY_H
#define APPLY_H

#include "buf.h"
#include "conn.h"
#include "ring.h"
#include "sync.h"

/* What is done with the rows of one reading. */
enum apply_mode {
    APPLY_ALL,    /* rows that are there are written, keys without a row are removed */
    APPLY_REMOVE, /* every key is removed: the rows follow in a second reading */
    APPLY_WRITE,  /* rows that are there are written: another reading is for the rest */
    APPLY_GONE    /* that reading: only keys without a row come, and are removed */
};

/* One column's values of a slice, in the binary form of an array. */
struct apply_array {
    struct buf bytes;
    int count;
    bool has_null;
};

struct apply_sent {
    struct table *table;
    size_t bytes;
    bool counts;  /* its result says how many rows were written */
    int prepares; /* the id of what it prepares, as in struct apply; 0: nothing */
    struct arena *arena;
    const char **answer; /* where its values go, NULL: there are none */
};

struct apply {
    struct conn *conn;
    struct table *table; /* whose rows are gathered; NULL between tables */
    enum apply_mode mode;
    struct apply_array *writes;  /* one per column */
    struct apply_array *removes; /* one per key column */
    int writes_size;
    int removes_size;
    int *key_columns; /* which column each key column is */
    size_t bytes;     /* gathered and not sent */
    bool is_whole;    /* rows of this table refer to each other: few and large statements */
    struct params params;
    /* Statements that the server has not answered, oldest first. */
    struct ring sent;  /* struct apply_sent */
    size_t bytes_sent; /* of those */
    int64_t rows_written;
    bool may_switch; /* the session is in replica role, and may leave it */
    bool is_firing;  /* it has, until the transaction ends */
    int *prepared;   /* ids of statements that are prepared on this connection, from 1 on */
    int prepared_count;
    int prepared_size;
};

/* Makes an applier for a connection in pipeline mode. */
void apply_init(struct apply *a, struct conn *conn);
void apply_fini(struct apply *a);
/* Forgets everything of a connection that is gone. */
void apply_reset(struct apply *a);
/* A statement that is not about rows (BEGIN, advance ...) has been sent: its result is counted. Its
 * failure is that of `t`, NULL for none. */
void apply_sent_about(struct apply *a, struct table *t);
void apply_sent_other(struct apply *a);
/* A statement that gives one value has been sent: it is kept in the arena. Of several each goes to
 * the next place. */
void apply_sent_text(struct apply *a, struct table *t, struct arena *arena, const char **answer);
/* A transaction has begun: it is in the session's role. */
void apply_began(struct apply *a);
/* From here on the table's triggers fire, or do not, as is wanted of it. */
void apply_take_role(struct apply *a, const struct table *t);
/* Prepares all of a table's statements now, where a later failure must not take that back. */
void apply_prepare(struct apply *a, const struct table *t);
/* A row's values as one-element arrays, one per column, until the next call of any function here.
 */
const struct params *apply_one_row(struct apply *a, struct table *t, const PGresult *r);
/* What is gathered is not sent, and nothing more comes. */
void apply_drop(struct apply *a);
/* Removes all rows of the table: it was truncated. */
void apply_clear(struct apply *a, struct table *t);
/* The same, except for keys that win and that survive (JSON), and what may wait of those that were
 * changed after the round's snapshot there (`until`, NULL: nothing may), by its capture there. */
void apply_clear_but(struct apply *a, struct table *t, int capture_id, const char *winners,
                     const char *survivors, const char *until);
/* Writes rows of which both ends' changes are kept (JSON), by its capture at the target; `anew`:
 * removes them and puts them in again; `has_sums`: that was done in this transaction already, and
 * counters stay as they are. */
void apply_merge(struct apply *a, struct table *t, int capture_id, const char *rows, bool anew,
                 bool has_sums);
/* The rows of this table come now. */
void apply_open(struct apply *a, struct table *t, enum apply_mode mode);
/* One row as sql/read_statements.sql gives it, in binary. */
void apply_row(struct apply *a, const PGresult *r);
/* Sends what is gathered if it is enough for a statement. Apart from apply_row(), so that a large
 * row is in memory once less when it is sent. */
void apply_send_full(struct apply *a);
/* Sends what is gathered; the table's rows are complete. */
void apply_close(struct apply *a);
/* A result has come: the table that its statement was about, NULL for none. */
struct table *apply_result(struct apply *a, const PGresult *r);
/* More is on its way than should be held in memory. */
bool apply_is_full(const struct apply *a, int64_t limit_bytes);

#endif
