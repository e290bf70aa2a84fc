/* Snapshots as text: which transactions a reader does not have yet is `xid >= xmax OR xid = ANY
 * (running)`, the same selection that PgQ and Slony make for a batch. */
#include "snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long its first part is; 0: it is no snapshot. */
static int take_bounds(const char *text, int64_t *xmin, int64_t *xmax)
{
    int used = 0;

    if (sscanf(text, "%" SCNd64 ":%" SCNd64 ":%n", xmin, xmax, &used) != 2 || used == 0)
        return 0;
    return text[used + (int)strspn(text + used, "0123456789,")] == '\0' ? used : 0;
}

bool snapshot_may_be_before(const char *text, const char *other)
{
    int64_t xmin, xmax, other_xmax;

    return strcmp(text, other) != 0 && take_bounds(text, &xmin, &xmax) > 0 &&
           take_bounds(other, &xmin, &other_xmax) > 0 && xmax <= other_xmax;
}

/* The next one of a list of ids, which ascend; after the last one, more than any. */
static int64_t next_id(const char **list)
{
    char *end;
    int64_t id = strtoll(*list, &end, 10);

    if (end == *list)
        return INT64_MAX;
    *list = *end == ',' ? end + 1 : end;
    return id;
}

static bool is_one_of(int64_t id, const int64_t *own, int count)
{
    for (int i = 0; i < count; i++)
        if (own[i] == id)
            return true;
    return false;
}

/* What a snapshot does not show: those that ran then, and all from its end on. */
static int64_t next_unseen(const char **running, int64_t *end)
{
    int64_t id = next_id(running);

    return id < INT64_MAX ? id : (*end)++;
}

bool snapshot_shows_only(const char *earlier, const char *later, const int64_t *own, int count)
{
    int64_t xmin, xmax, end, id, running;
    int used = take_bounds(earlier, &xmin, &xmax), later_used = take_bounds(later, &xmin, &end);

    if (used == 0 || later_used == 0 || end < xmax)
        return false;
    earlier += used;
    later += later_used;
    running = next_id(&later);
    for (id = next_unseen(&earlier, &xmax); id < end; id = next_unseen(&earlier, &xmax)) {
        while (running < id)
            running = next_id(&later);
        if (running != id && !is_one_of(id, own, count))
            return false;
    }
    return true;
}

bool snapshot_parse(struct arena *a, const char *text, struct snapshot *s)
{
    int used = take_bounds(text, &s->xmin, &s->xmax);

    if (used == 0)
        return false;
    s->running = arena_printf(a, "{%s}", text + used);
    return true;
}
