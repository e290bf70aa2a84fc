/* The part of a layout that speaks of types: labels of enums and attributes of composites, in which
 * a table's columns have their values. A value goes from one end to the other as text: an enum as
 * its label, a composite as its attributes in their order, without names. Pure. */
#ifndef LAYOUT_TYPES_H
#define LAYOUT_TYPES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Is what was copied still right for the types as they are now? The arguments are layouts: of the
 * source before and now, of the target before and now (NULL: not known). */
bool layout_keeps_types(const json_t *old, const json_t *now, const json_t *old_target,
                        const json_t *target);

/* Is there a composite that has other attributes at the target? Both texts say it as in struct
 * drift. */
bool layout_types_differ(const char *source, const char *target, char what[512], char remedy[512]);

/* Is there a label that got another name at one end, which the other end does not have? `layouts`
 * are those of the source before and now, and of the target before and now. */
bool layout_relabelled(const char *const layouts[4], char what[512], char remedy[512]);

#endif
