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
/* Remembers what waits for a person, from the rows of sql/problems_list.sql. */
void status_set_problems(struct sync *s, const PGresult *r);

#endif
