/* The statements of sql/ and the schema of schema/, as made into C at build time.
 *
 * One file is one statement: sql/chunk_claim.sql is sql_chunk_claim, and its name is also its
 * prepared-statement name and its word in the log. C never builds SQL: what depends on a table is
 * made by such a statement on a server, with format('%I'), and comes back as text. */
#ifndef SQL_H
#define SQL_H

/* The oldest server that these are for, as server_version_num; README.md names it. (Before it there
 * is no regcollation.) */
enum { SQL_OLDEST_SERVER = 130000 };

struct sql {
    const char *name; /* the file's name without .sql */
    const char *text; /* the statement, without the head comment */
};

#include "sql_list.h" /* generated: extern const struct sql sql_<name>; for every file */

/* Every statement, ended by NULL: for the test that prepares them all. */
extern const struct sql *const sql_all[];

/* One numbered file of schema/: the objects that are installed in a database; its last statement
 * notes its number there, in rebeco.version. */
struct sql_schema {
    int version; /* the number that its name starts with */
    const char *name;
    const char *text;
};

/* In rising order of version, ended by a row whose text is NULL. */
extern const struct sql_schema sql_schema[];
/* The version of the last of them. */
extern const int sql_schema_newest;

#endif
