/* The values of a result, by the names that the statement in sql/ gives its columns: a column more
 * in the statement moves none of them. A name that the result does not have is a bug and aborts;
 * that every name which is asked for is one of the statement's is checked by tests/sql/run.
 *
 * Texts live as long as the result does. */
#ifndef FIELD_H
#define FIELD_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* The number of a column, for where one value is asked for very often. */
int field_number(const PGresult *r, const char *column);
bool field_is_null(const PGresult *r, int row, const char *column);
/* "" for NULL. */
const char *field_text(const PGresult *r, int row, const char *column);
/* NULL for NULL. */
const char *field_or_null(const PGresult *r, int row, const char *column);
/* false for NULL. */
bool field_bool(const PGresult *r, int row, const char *column);
/* 0 for NULL. */
int64_t field_int64(const PGresult *r, int row, const char *column);
double field_double(const PGresult *r, int row, const char *column);
int field_int(const PGresult *r, int row, const char *column);

#endif
