/* What `check` makes of tables.rename, columns and where. Used by check.c only. */
#ifndef CHECK_SHAPE_H
#define CHECK_SHAPE_H

#include <jansson.h>

#include "check_report.h"
#include "config.h"

/* The relations of the source (sql/check_relations.sql) as the target is to have them: under their
 * names there, and with the columns that are taken. Reports lists that cannot be. */
void check_shape_relations(struct check_report *report, const struct config_sync *c,
                           json_t *relations);
/* Adds the table's condition, if it has one, to the context, for sql/check_filters.sql. */
void check_shape_filter(json_t *context, const struct config_sync *c, const char *schema,
                        const char *name);

#endif
