/* The first conflict is told at once, those that follow once in a while with their number. */
#include "conflict.h"

#include <stdio.h>

#include "log.h"
#include "steady.h"
#include "sync.h"

#define TELL_EVERY_S 30.

void conflict_decided(struct table *t, int64_t count)
{
    struct conflict_news *n = &t->sync->conflict_news;

    n->count += count;
    snprintf(n->table, sizeof n->table, "%s", t->label);
    conflict_tell(t->sync);
}

void conflict_tell(struct sync *s)
{
    struct conflict_news *n = &s->conflict_news;
    double now = steady_now();

    if (n->count == 0 || (n->told_at > 0 && now - n->told_at < TELL_EVERY_S))
        return;
    log_event(LOG_NOTICE, "rows were changed at both ends", "sync", s->name, "conflicts",
              log_int(n->count), "table", n->table, "hint",
              "both versions are on record: rebeco conflicts", NULL);
    n->count = 0;
    n->told_at = now;
}
