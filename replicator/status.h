/* What goes on now, as one JSON tree: the same for `status --json`, the page and the metrics. */
#ifndef STATUS_H
#define STATUS_H

#include <jansson.h>
#include <libpq-fe.h>

#include "sync.h"

/* The tree of a sync; the caller owns it. */
json_t *status_tree(const struct sync *s);
/* The same as text; the caller frees it. */
char *status_text(const struct sync *s);

/* What the tree and the metrics are made of. */
struct status_totals {
    int64_t bytes;      /* to be copied, all tables together */
    int64_t bytes_done; /* of these */
    int64_t rows_done;
    int64_t pending; /* changed rows that the target does not have yet */
    double ended_at; /* steady_now when the last table was copied */
};
struct status_totals status_add_up(const struct sync *s);
int64_t status_bytes_done(const struct table *t);
/* How far the target is behind, in seconds; negative: not known. `now` is steady_now. */
double status_lag_s(const struct sync *s, double now);

/* Remembers what waits for a person, from the rows of sql/problems_list.sql. */
void status_set_problems(struct sync *s, const PGresult *r);

#endif
