/* A ring of points: nothing is allocated after the start. */
#include "history.h"

#include <math.h>
#include <stdlib.h>

#include "mem.h"

struct history *history_new(const char *sync)
{
    struct history *h = mem_alloc(sizeof *h);

    list_init(&h->in_http);
    h->sync = mem_strdup(sync);
    return h;
}

void history_free(struct history *h)
{
    list_remove(&h->in_http);
    free(h->sync);
    free(h);
}

void history_add(struct history *h, struct history_point p)
{
    h->points[(h->first + h->count) % HISTORY_POINTS] = p;
    if (h->count < HISTORY_POINTS)
        h->count++;
    else
        h->first = (h->first + 1) % HISTORY_POINTS;
}

static json_t *point_tree(const struct history_point *p)
{
    json_t *lag = p->lag_s < 0 ? json_null() : json_real(round(p->lag_s * 1000) / 1000);

    return json_pack("[I, o, I]", (json_int_t)p->at, lag, (json_int_t)p->rows);
}

json_t *history_tree(const struct history *h)
{
    json_t *points = json_array();

    for (int i = 0; i < h->count; i++)
        json_array_append_new(points, point_tree(&h->points[(h->first + i) % HISTORY_POINTS]));
    return json_pack("{s:s, s:i, s:o}", "sync", h->sync, "every_s", HISTORY_EVERY_S, "points",
                     points);
}
