/* What the log says of conflicts: a line in a while at most, however many there are. */
#ifndef CONFLICT_H
#define CONFLICT_H

#include <stdint.h>

struct sync;
struct table;

/* What was decided and is not told yet. */
struct conflict_news {
    int64_t count;
    double told_at;  /* steady_now, 0: never */
    char table[160]; /* the last one */
};

/* So many rows of the table were changed at both ends; what was decided is committed. */
void conflict_decided(struct table *t, int64_t count);
/* Tells what there is, if it is time again. */
void conflict_tell(struct sync *s);

#endif
