/* Looks a value of a result up by the name of its column. A statement has few columns, so walking
 * through their names costs less than a server's answer did by far. */
#include "field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int field_number(const PGresult *r, const char *column)
{
    for (int i = 0; i < PQnfields(r); i++)
        if (strcmp(PQfname(r, i), column) == 0)
            return i;
    fprintf(stderr, "rebeco: bug: a result has no column %s\n", column);
    abort();
}

bool field_is_null(const PGresult *r, int row, const char *column)
{
    return PQgetisnull(r, row, field_number(r, column));
}

const char *field_text(const PGresult *r, int row, const char *column)
{
    return PQgetvalue(r, row, field_number(r, column));
}

const char *field_or_null(const PGresult *r, int row, const char *column)
{
    int i = field_number(r, column);

    return PQgetisnull(r, row, i) ? NULL : PQgetvalue(r, row, i);
}

bool field_bool(const PGresult *r, int row, const char *column)
{
    return field_text(r, row, column)[0] == 't';
}

int64_t field_int64(const PGresult *r, int row, const char *column)
{
    return strtoll(field_text(r, row, column), NULL, 10);
}

double field_double(const PGresult *r, int row, const char *column)
{
    return strtod(field_text(r, row, column), NULL);
}

int field_int(const PGresult *r, int row, const char *column)
{
    return atoi(field_text(r, row, column));
}
