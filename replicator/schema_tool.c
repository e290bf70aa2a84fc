/* The programs pg_dump and pg_restore: which are installed, which fit, how they get a connection.
 *
 * What is always true: no secret of a connection string gets into a conninfo made here. */
#include "schema_tool.h"

#include <glob.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOOLS_MAX = 64, OLDEST_MAJOR = 13 }; /* older ones cut long passwords off */

/* ------------------------------------------------------------------ finding */

/* Debian's /usr/bin/pg_dump is a script that chooses a version by rules of its own. */
static bool is_wrapper(const char *path)
{
    char real[PATH_MAX];
    const char *name;

    if (realpath(path, real) == NULL)
        return true;
    name = strrchr(real, '/');
    return name && strcmp(name, "/pg_wrapper") == 0;
}

static bool is_known(const struct schema_tools *t, const char *path)
{
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->all[i].dump, path) == 0)
            return true;
    return false;
}

/* Adds the two programs of a folder, when it has both. */
static void add_folder(struct schema_tools *t, struct arena *a, const char *folder)
{
    struct schema_tool *tool = &t->all[t->count];

    if (t->count == TOOLS_MAX || folder[0] != '/')
        return;
    tool->dump = arena_printf(a, "%s/pg_dump", folder);
    tool->restore = arena_printf(a, "%s/pg_restore", folder);
    if (access(tool->dump, X_OK) != 0 || access(tool->restore, X_OK) != 0)
        return;
    if (is_wrapper(tool->dump) || is_known(t, tool->dump))
        return;
    t->count++;
}

static void add_matches(struct schema_tools *t, struct arena *a, const char *pattern)
{
    glob_t found;

    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_folder(t, a, found.gl_pathv[i]);
    globfree(&found);
}

static void add_path(struct schema_tools *t, struct arena *a)
{
    const char *path = getenv("PATH");

    while (path && *path) {
        size_t len = strcspn(path, ":");

        add_folder(t, a, arena_printf(a, "%.*s", (int)len, path));
        path += len;
        path += *path == ':';
    }
}

struct schema_tools schema_tools_find(struct arena *a)
{
    struct schema_tools t = {.all = arena_alloc(a, TOOLS_MAX * sizeof *t.all)};

    add_path(&t, a);
    add_matches(&t, a, "/usr/lib/postgresql/*/bin"); /* Debian */
    add_matches(&t, a, "/usr/pgsql-*/bin");          /* Red Hat */
    add_matches(&t, a, "/usr/libexec/postgresql*");  /* Alpine */
    return t;
}

/* ------------------------------------------------------------------ choosing */

int schema_tool_version(const char *output)
{
    static const char start[] = "(PostgreSQL) ";
    const char *s = output ? strstr(output, start) : NULL;

    return s ? atoi(s + sizeof start - 1) : 0;
}

/* Smaller is better. */
static int distance(int major, int source, int target)
{
    int newest = source > target ? source : target;

    return major >= newest ? major - newest : 1000 + newest - major;
}

const struct schema_tool *schema_tool_choose(const struct schema_tools *t, int source, int target,
                                             struct error *e)
{
    const struct schema_tool *best = NULL;
    int least = source > OLDEST_MAJOR ? source : OLDEST_MAJOR;

    for (int i = 0; i < t->count; i++) {
        const struct schema_tool *one = &t->all[i];

        if (one->major < least)
            continue;
        if (best == NULL ||
            distance(one->major, source, target) < distance(best->major, source, target))
            best = one;
    }
    if (best == NULL) {
        error_set(e, "There is no pg_dump here that can read a PostgreSQL %d server", source);
        error_detail(e, "%d pg_dump found with its pg_restore; it must be version %d or newer.",
                     t->count, least);
        error_hint(e,
                   "Install the package postgresql-client-%d where Rebeco runs, or load the schema "
                   "yourself and set `schema: expect`.",
                   source > target  ? least
                   : target > least ? target
                                    : least);
    }
    return best;
}

const struct schema_tool *schema_tool_of(const struct schema_tools *t, int major)
{
    for (int i = 0; i < t->count; i++)
        if (t->all[i].major == major)
            return &t->all[i];
    return NULL;
}

/* ------------------------------------------------------------------ connecting */

/* keyword='value', with quotes and backslashes escaped. */
static void add_parameter(struct buf *b, const char *keyword, const char *value)
{
    buf_printf(b, "%s%s='", b->len > 0 ? " " : "", keyword);
    for (const char *s = value; *s; s++) {
        if (*s == '\'' || *s == '\\')
            buf_text(b, "\\");
        buf_append(b, s, 1);
    }
    buf_text(b, "'");
}

static void add_number(struct buf *b, const char *keyword, double number)
{
    char text[32];

    snprintf(text, sizeof text, "%d", number >= 1 ? (int)number : 1);
    add_parameter(b, keyword, text);
}

/* A later parameter wins, so ours come first and the URL's after them. */
static void add_defaults(struct buf *b, const char *application, double timeout_s)
{
    add_parameter(b, "application_name", application);
    add_number(b, "connect_timeout", timeout_s >= 2 ? timeout_s : 2);
    add_parameter(b, "keepalives", "1");
    add_number(b, "keepalives_idle", timeout_s / 3);
    add_number(b, "keepalives_interval", timeout_s / 6);
    add_parameter(b, "keepalives_count", "4");
    add_number(b, "tcp_user_timeout", timeout_s * 1000);
}

/* A line of libpq's password file, which fits every server. */
static char *passfile_new(const char *password)
{
    struct buf b;

    buf_init(&b);
    buf_text(&b, "*:*:*:*:");
    for (const char *s = password; *s; s++) {
        if (*s == ':' || *s == '\\')
            buf_text(&b, "\\");
        buf_append(&b, s, 1);
    }
    buf_text(&b, "\n");
    return b.data;
}

static bool add_secret(struct schema_login *l, const PQconninfoOption *o, struct error *e)
{
    if (strcmp(o->keyword, "password") == 0 && strpbrk(o->val, "\r\n") == NULL) {
        l->passfile = passfile_new(o->val);
        return true;
    }
    error_set(e, "The parameter %s of a database's URL cannot be given to pg_dump in secret",
              o->keyword);
    error_hint(e,
               "Load the schema yourself and set `schema: expect`, or use a connection that "
               "does not need %s.",
               o->keyword);
    return false;
}

static bool add_options(struct schema_login *l, struct buf *b, const PQconninfoOption *o,
                        struct error *e)
{
    for (; o->keyword; o++) {
        if (o->val == NULL)
            continue;
        if (o->dispchar[0] != '*')
            add_parameter(b, o->keyword, o->val);
        else if (!add_secret(l, o, e))
            return false;
    }
    return true;
}

static void set_environment(struct schema_login *l)
{
    int n = 0;

    if (l->passfile)
        l->environment[n++] = "PGPASSWORD"; /* which libpq would prefer */
    l->environment[n++] = "LC_ALL=C";       /* we read what they say */
    l->environment[n++] = "LANGUAGE";
    l->environment[n++] = "PGCLIENTENCODING=UTF8";
    l->environment[n++] = "PG_COLOR=never";
    l->environment[n] = NULL;
}

bool schema_login_init(struct schema_login *l, const char *url, const char *password,
                       const char *application, double network_timeout_s, struct error *e)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    struct buf conninfo;
    bool good;

    memset(l, 0, sizeof *l);
    if (options == NULL)
        return error_set(e, "A database's URL cannot be read");
    buf_init(&conninfo);
    add_defaults(&conninfo, application, network_timeout_s);
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (password && strcmp(o->keyword, "password") == 0) {
            PQfreemem(o->val);
            o->val = mem_strdup(password);
        }
    good = add_options(l, &conninfo, options, e);
    if (l->passfile)
        add_parameter(&conninfo, "passfile", "/proc/self/fd/0");
    PQconninfoFree(options);
    l->conninfo = conninfo.data;
    set_environment(l);
    return good;
}

/* Of two parameters of one name the last is taken, and PGOPTIONS only where there is none. */
void schema_login_add_options(struct schema_login *l, const char *options)
{
    PQconninfoOption *all = PQconninfoParse(l->conninfo, NULL);
    const char *before = getenv("PGOPTIONS");
    struct buf both, conninfo;

    for (const PQconninfoOption *o = all; o && o->keyword; o++)
        if (strcmp(o->keyword, "options") == 0 && o->val)
            before = o->val;
    buf_init(&both);
    buf_printf(&both, "%s%s%s", before ? before : "", before ? " " : "", options);
    buf_init(&conninfo);
    buf_text(&conninfo, l->conninfo);
    add_parameter(&conninfo, "options", both.data);
    PQconninfoFree(all);
    buf_fini(&both);
    free(l->conninfo);
    l->conninfo = conninfo.data;
}

void schema_login_fini(struct schema_login *l)
{
    if (l->passfile)
        explicit_bzero(l->passfile, strlen(l->passfile));
    free(l->passfile);
    free(l->conninfo);
    memset(l, 0, sizeof *l);
}
