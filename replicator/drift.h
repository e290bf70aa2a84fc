/* Do the two ends of a table fit? Pure: compares two relations, and says the difference and the
 * remedy in words. */
#ifndef DRIFT_H
#define DRIFT_H

#include "catalog.h"

struct drift {
    char what[512];   /* the first difference, in one sentence; empty when the ends fit */
    char remedy[512]; /* the statement or step that would mend it */
};

/* Compares what is read at `source` with what can be written at `target`; NULL for a table that is
 * not there. Extra columns at the target are fine when they can be left out. True when they fit. */
bool drift_compare(const struct relation *source, const struct relation *target, struct drift *d);

#endif
