/* The last hour of a sync's lag, for the page: one point every few seconds, in memory only. */
#ifndef HISTORY_H
#define HISTORY_H

#include <jansson.h>

#include "list.h"

enum { HISTORY_EVERY_S = 5, HISTORY_POINTS = 3600 / HISTORY_EVERY_S };

struct history_point {
    double at;    /* seconds since 1970 */
    double lag_s; /* negative: not known */
    int64_t rows; /* behind */
};

struct history {
    struct list in_http;
    char *sync; /* whose; survives the sync's own struct when the configuration is read again */
    int first;  /* the oldest point */
    int count;
    struct history_point points[HISTORY_POINTS];
};

/* An empty history of the sync of that name. */
struct history *history_new(const char *sync);
/* Takes it out of its list and frees it. */
void history_free(struct history *h);
/* Adds a point; the oldest goes when an hour is full. */
void history_add(struct history *h, struct history_point p);
/* {"sync", "every_s", "points": [[at, lag or null, rows], ...]}, oldest first; the caller owns it.
 */
json_t *history_tree(const struct history *h);

#endif
