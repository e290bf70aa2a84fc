/* The text form of a transaction snapshot, "xmin:xmax:xip,xip,..." as txid_current_snapshot()
 * gives it. Pure. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

struct snapshot {
    int64_t xmin;
    int64_t xmax;
    const char *running; /* the ids in progress as an array's text: "{12,15}" */
};

/* Takes a text apart; `running` lives in the arena. False when it is no snapshot. */
bool snapshot_parse(struct arena *a, const char *text, struct snapshot *s);
/* Of two texts from one server: whether the first may be of an earlier moment. */
bool snapshot_may_be_before(const char *text, const char *other);
/* Of two texts from one server: whether the later one shows nothing that the earlier one did not,
 * but transactions of `own`, `count` ids. False too where one of them is no snapshot. */
bool snapshot_shows_only(const char *earlier, const char *later, const int64_t *own, int count);

#endif
