/* May values have changed under their columns' names without a row being written? Pure: compares
 * two texts of rebeco.table_layout(). */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <stdbool.h>

enum { LAYOUT_NAME_SIZE = 64 }; /* NAMEDATALEN of every server that is not built otherwise */

/* True when what was copied from a table as it was, `old`, is still right for it as it is `now`.
 * False when names were exchanged, a column was made again, the table was rewritten by a change
 * of a column, or a type was altered at one end alone. `target` is the other end's layout, which
 * tells whether a new column has the same values there for rows from before; NULL when no column is
 * new. `old_target` is the target's of before: a new column that it had already may hold anything
 * there. `old` NULL: not known, true. */
bool layout_keeps_values(const char *old, const char *now, const char *old_target,
                         const char *target);
/* The same for the end that is written: true unless names that `source` has too were exchanged
 * there. Its rewrites are our own doing. */
bool layout_keeps_names(const char *old, const char *now, const char *source);
/* Is it the same table still? False for another one that has its name now. True when either is not
 * known. */
bool layout_is_same_table(const char *old, const char *now);
/* Was the column of this name called otherwise before? True when so, and `was` is that name. */
bool layout_was_called(const char *old, const char *now, const char *name,
                       char was[LAYOUT_NAME_SIZE]);
/* Has the definition of this column been touched? False when either text does not name it. */
bool layout_is_touched(const char *old, const char *now, const char *name);
/* Does the text name the column? False when it is NULL. */
bool layout_has_column(const char *layout, const char *name);

#endif
