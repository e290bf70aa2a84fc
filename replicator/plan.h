/* What to do with each table, decided from both ends' catalogs, and the JSON that the statements
 * which make statements want. Decides and builds only; lead.c does. */
#ifndef PLAN_H
#define PLAN_H

#include "buf.h"
#include "sync.h"

/* Looks at every table of the latest catalogs and of the sync: adds new ones, pauses those that do
 * not fit, marks what is to be planned or copied again. */
void plan_reconcile(struct sync *s);
/* What is to be logged of a table's changes. */
enum table_records plan_records(const struct sync *s, const struct relation *source);
/* A table of the configuration is missing at the target. */
bool plan_lacks_target(const struct sync *s);
/* The next table that is to be captured and copied, NULL for none; `now` is steady_now. */
struct table *plan_next_copy(struct sync *s, double now);
/* The next paused table whose ends fit again, NULL for none. */
struct table *plan_next_resume(struct sync *s);
/* The next one that leaves the sync: it is gone at both ends, or left out now. */
struct table *plan_next_forget(struct sync *s);
/* Tables that lack their statements, as sql/read_statements.sql and sql/apply_statements.sql take
 * them. False when there is none. And one table as sql/row_statement.sql takes it. */
bool plan_read_json(const struct sync *s, struct buf *out);
void plan_row_json(const struct table *t, struct buf *out);
bool plan_apply_json(const struct sync *s, struct buf *out);

#endif
