/* `conflicts`: what was decided about rows that both ends of a two-way sync have changed. */
#ifndef CONFLICTS_H
#define CONFLICTS_H

#include <jansson.h>

#include "buf.h"
#include "command.h"

/* For the table of commands. */
int conflicts_run(struct command_context *x);

/* One conflict in two lines; `doc` is its row in rebeco.conflict as JSON, without both versions. */
void conflicts_show_line(struct buf *b, const json_t *doc);
/* A conflict with its row. */
struct conflict_view {
    const json_t *doc;    /* as above */
    const json_t *source; /* each end's version, its values as texts; no object: removed */
    const json_t *target;
    const char *row_now; /* as JSON at the target; NULL: removed */
    const char *state;   /* as rebeco.conflict_look says */
};

/* All about one: both versions side by side, what was decided, and how the row is now. */
void conflicts_show_one(struct buf *b, const struct conflict_view *v);

#endif
