/* Snapshots as text: which transactions a reader does not have yet is `xid >= xmax OR xid = ANY
 * (running)`, the same selection that PgQ and Slony make for a batch. */
#include "snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool snapshot_parse(struct arena *a, const char *text, struct snapshot *s)
{
    int used = 0;

    if (sscanf(text, "%" SCNd64 ":%" SCNd64 ":%n", &s->xmin, &s->xmax, &used) != 2 || used == 0)
        return false;
    text += used;
    if (text[strspn(text, "0123456789,")] != '\0')
        return false;
    s->running = arena_printf(a, "{%s}", text);
    return true;
}
