/* What `check` makes of conflict.counters. Used by check.c only. */
#ifndef CHECK_MERGE_H
#define CHECK_MERGE_H

#include <jansson.h>

#include "config.h"

/* Adds the table's counters, if it has any, to the context, for sql/check_counters.sql. */
void check_merge_table(json_t *context, const struct config_sync *c, const char *schema,
                       const char *name);

#endif
