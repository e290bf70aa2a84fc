/* What a configuration makes of the source's tables: other names at the target, fewer columns,
 * fewer rows. Done once on each reading of the source's catalog, so that nothing later has to know.
 */
#ifndef SHAPING_H
#define SHAPING_H

#include "catalog.h"
#include "config.h"

/* Applies tables.rename, columns and where to every relation. What cannot be is noted at the
 * relation as its trouble. */
void shaping_apply(struct catalog *source, const struct config_sync *c);
/* Is the table one of the sync's, by tables.include and exclude? */
bool shaping_wants(const struct config_sync *c, const struct relation *r);
/* A layout of the relation as it is known when its shaping is: without the columns that are left
 * out, and with what is taken. Lives in `a`. */
const char *shaping_layout(struct arena *a, const struct relation *r, const char *layout);
/* The first rule whose pattern means none of the tables in `r` (schema, name), NULL when all do. */
const struct config_rule *shaping_unused(const struct config_sync *c, const PGresult *r);

#endif
