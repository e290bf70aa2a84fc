/* Snapshots as text: which transactions a reader does not have yet is `xid >= xmax OR xid = ANY
 * (running)`, the same selection that PgQ and Slony make for a batch. */
#include "snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How long its first part is; 0: it is no snapshot. */
static int take_bounds(const char *text, int64_t *xmin, int64_t *xmax)
{
    int used = 0;

    return sscanf(text, "%" SCNd64 ":%" SCNd64 ":%n", xmin, xmax, &used) == 2 ? used : 0;
}

bool snapshot_may_be_before(const char *text, const char *other)
{
    int64_t xmin, xmax, other_xmax;

    return strcmp(text, other) != 0 && take_bounds(text, &xmin, &xmax) > 0 &&
           take_bounds(other, &xmin, &other_xmax) > 0 && xmax <= other_xmax;
}

bool snapshot_parse(struct arena *a, const char *text, struct snapshot *s)
{
    int used = take_bounds(text, &s->xmin, &s->xmax);

    if (used == 0)
        return false;
    text += used;
    if (text[strspn(text, "0123456789,")] != '\0')
        return false;
    s->running = arena_printf(a, "{%s}", text);
    return true;
}
