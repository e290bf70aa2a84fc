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
 * not there. Extra columns at the target are fine when a row can be inserted without them. True
 * when they fit. */
bool drift_compare(const struct relation *source, const struct relation *target, struct drift *d);

/* Are the columns of both keys in the same order? Only a two-way sync needs that: what its ends say
 * of a key to one another is a list of values. */
bool drift_keys_in_line(const struct relation *source, const struct relation *target,
                        struct drift *d);

/* Has a column of the target been dropped at the source? `layout` is the source's of when the table
 * was last known to fit. True when so: then the ends do not fit although drift_compare() finds
 * nothing. */
bool drift_dropped(const struct relation *source, const struct relation *target, const char *layout,
                   struct drift *d);

/* Has a column got another name at one end, which the other does not know? The layouts are those of
 * when the table was last known to fit, or NULL. True when so: drift_compare() would take it for
 * one that is missing. Either relation may be NULL. */
bool drift_renamed(const struct relation *source, const struct relation *target, const char *layout,
                   const char *target_layout, struct drift *d);

/* Has a column been dropped or retyped at the target alone? Then it is for the source to follow, or
 * for the target to go back. Arguments and answer as above. */
bool drift_altered_there(const struct relation *source, const struct relation *target,
                         const char *layout, const char *target_layout, struct drift *d);

/* Has a label of an enum got another name at one end, which the other does not know? The layouts
 * are those of when the table was last known to fit. True when so, as above. */
bool drift_relabelled(const struct relation *source, const struct relation *target,
                      const char *layout, const char *target_layout, struct drift *d);

#endif
