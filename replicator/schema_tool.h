/* The programs pg_dump and pg_restore: which are installed, which fit, how they get a connection.
 */
#ifndef SCHEMA_TOOL_H
#define SCHEMA_TOOL_H

#include <stdbool.h>

#include "buf.h"
#include "error.h"
#include "mem.h"

/* A pg_dump with the pg_restore beside it. */
struct schema_tool {
    const char *dump;    /* absolute path */
    const char *restore; /* absolute path */
    int major;           /* 0: not asked yet, or it did not say */
};

struct schema_tools {
    int count;
    struct schema_tool *all;
};

/* Where a program connects to, and its environment. */
struct schema_login {
    char *conninfo;             /* without secrets, for the argument --dbname */
    char *passfile;             /* libpq's password file, for its standard input; NULL: none */
    const char *environment[8]; /* for a struct child_program */
};

/* Finds the programs in the usual folders and in PATH; nothing is run. Lives in the arena. */
struct schema_tools schema_tools_find(struct arena *a);
/* The major version in the output of `pg_dump --version`; 0 when it is none. */
int schema_tool_version(const char *output);
/* The tool that fits: at least as new as the source, and nearest to the newer one of both servers.
 * NULL and the error, with what to install, when there is none. Versions are major versions. */
const struct schema_tool *schema_tool_choose(const struct schema_tools *t, int source, int target,
                                             struct error *e);
/* The tool of that major version; NULL when there is none. */
const struct schema_tool *schema_tool_of(const struct schema_tools *t, int major);

/* Makes the connection of a program from any libpq URL or conninfo; every parameter is kept, and
 * the password goes into a file. `password` replaces the URL's when not NULL. False and the error
 * when the URL cannot be read, or holds a secret that libpq takes from nowhere but the URL. */
bool schema_login_init(struct schema_login *l, const char *url, const char *password,
                       const char *application, double network_timeout_s, struct error *e);
/* Gives the sessions these options too ("-c name=value ..."), over the URL's and PGOPTIONS. */
void schema_login_add_options(struct schema_login *l, const char *options);
void schema_login_fini(struct schema_login *l);

#endif
