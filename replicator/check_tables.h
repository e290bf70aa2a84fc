/* The tables that `check` is about. Used by check.c only. */
#ifndef CHECK_TABLES_H
#define CHECK_TABLES_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

#include "config.h"
#include "error.h"
#include "mem.h"

/* Adds the sync's tables, of those that sql/check_tables.sql has found, to the context. False and
 * the error when a pattern means none of them. Allocates from `a`. */
bool check_tables_choose(const struct config_sync *c, const PGresult *r, struct arena *a,
                         json_t *context, struct error *e);

#endif
