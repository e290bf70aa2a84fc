/* The configuration: a file, the environment and the command line made into one.
 *
 * What the command line says wins over the file, and the file over REBECO_SOURCE and REBECO_TARGET.
 *
 * Always true of a configuration that was loaded: every sync has a target, and a source unless the
 * caller can do without; they differ. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "buf.h"
#include "config_option.h"
#include "config_ring.h"
#include "config_rules.h"
#include "config_value.h"
#include "config_yaml.h"

enum { FILE_MAX = 1024 * 1024 };

static struct config_sync *sync_of(struct list *i)
{
    return container_of(i, struct config_sync, in_config);
}

/* ---------------------------------------------------------------- the file */

static bool fail_file(const char *path, int cause, struct error *e)
{
    error_set(e, "cannot read the configuration file %s", path);
    error_detail(e, "%s", strerror(cause));
    error_hint(e, "--config names it. `rebeco config sample` prints one to start from.");
    return false;
}

static bool read_file(const char *path, struct buf *b, struct error *e)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return fail_file(path, errno, e);
    errno = 0;
    b->len = fread(buf_room(b, FILE_MAX + 1), 1, FILE_MAX + 1, f);
    int cause = errno;
    bool is_broken = ferror(f) != 0;
    fclose(f);
    if (is_broken)
        return fail_file(path, cause, e);
    if (b->len > FILE_MAX)
        return error_set(e, "the configuration file %s is larger than 1 MB", path);
    return true;
}

static bool load_file(struct config *c, const char *path, struct error *e)
{
    struct buf b;
    if (path == NULL)
        return true;
    c->file = arena_strdup(c->arena, path);
    buf_init(&b);
    bool ok = read_file(path, &b, e) && config_yaml_load(c, b.data, b.len, c->file, e);
    buf_fini(&b);
    return ok;
}

/* ---------------------------------------------------------------- what is said elsewhere */

/* A value from the command line or the environment, as if it stood in the file at `place`. */
static bool set_from(const struct config_option *o, void *base, const char *text, const char *place,
                     struct config *c, struct error *e)
{
    struct config_text t = {.text = arena_strdup(c->arena, text), .place = place};
    return config_value_set(o, base, &t, c->arena, e);
}

static bool set_log(struct config *c, const struct config_arguments *args, struct error *e)
{
    const struct config_option *log = config_option_find(NULL, "log");
    if (args->log_format != NULL &&
        !set_from(config_option_find(log, "format"), c, args->log_format, "--log-format", c, e))
        return false;
    return args->log_level == NULL ||
           set_from(config_option_find(log, "level"), c, args->log_level, "--log-level", c, e);
}

/* A database that no file names. */
static struct config_database *make_database(struct config *c, const char *url, const char *place,
                                             struct error *e)
{
    const struct config_option *databases = config_option_find(NULL, "databases");
    struct config_database *d = config_yaml_add_database(c, place);
    return set_from(config_option_find(databases, "url"), d, url, place, c, e) ? d : NULL;
}

/* The sync that --source and --target are about. */
static struct config_sync *sync_to_override(struct config *c, const struct config_arguments *args,
                                            struct error *e)
{
    bool is_unclear = args->sync == NULL && c->syncs.next->next != &c->syncs;
    if (!is_unclear)
        return config_sync_find(c, args->sync, e);
    error_set(e, "--source and --target are given, and %s has several syncs", c->file);
    error_hint(e, "Say which one with --sync.");
    return NULL;
}

static bool override_databases(struct config *c, const struct config_arguments *args,
                               struct error *e)
{
    if (args->source == NULL && args->target == NULL)
        return true;
    struct config_sync *s = sync_to_override(c, args, e);
    if (s == NULL)
        return false;
    if (args->source != NULL && (s->source = make_database(c, args->source, "--source", e)) == NULL)
        return false;
    return args->target == NULL ||
           (s->target = make_database(c, args->target, "--target", e)) != NULL;
}

/* ---------------------------------------------------------------- what must be there */

static bool fill_side(struct config *c, const struct config_sync *s, const char *side,
                      const char *variable, struct config_database **d, struct error *e)
{
    const char *url = getenv(variable);
    if (*d != NULL)
        return true;
    if (url != NULL && url[0] != '\0') {
        *d = make_database(c, url, variable, e);
        return *d != NULL;
    }
    error_set(e, "the sync \"%s\" has no %s", s->name, side);
    error_hint(e, "Give --%s URL, or set %s, or name one of `databases` in the configuration file.",
               side, variable);
    if (s->place != NULL)
        error_place(e, "%s", s->place);
    return false;
}

/* In a two-way sync triggers are never switched off. */
static bool check_triggers(const struct config_sync *s, struct error *e)
{
    if (s->mode == CONFIG_ONE_WAY || s->fire_triggers.count == 0)
        return true;
    error_set(e, "tables.fire_triggers is for syncs of mode: one-way");
    error_hint(e, "In a two-way sync triggers fire for rows that arrive, unless their WHEN says "
                  "otherwise.");
    error_place(e, "%s", s->fire_triggers.places[0]);
    return false;
}

/* The schema copy makes tables under the names that they have. */
static bool check_shaping(const struct config_sync *s, struct error *e)
{
    bool is_shaped = s->rename.count > 0 || s->columns.count > 0 || s->where.count > 0;
    if (s->rename.count > 0 && s->schema != CONFIG_SCHEMA_EXPECT) {
        error_set(e, "tables.rename needs schema: expect");
        error_hint(
            e, "Create the tables at the target under their new names, and say schema: expect.");
        error_place(e, "%s", s->rename.rules[0].place);
        return false;
    }
    if (s->copy_adopt && s->mode == CONFIG_ONE_WAY) {
        error_set(e, "copy.adopt is for syncs of mode: two-way");
        if (s->place != NULL)
            error_place(e, "%s", s->place);
        return false;
    }
    if (!is_shaped || s->mode == CONFIG_ONE_WAY)
        return true;
    error_set(e, "tables.rename, columns and where are for syncs of mode: one-way");
    if (s->place != NULL)
        error_place(e, "%s", s->place);
    return false;
}

static bool complete_sync(struct config *c, struct config_sync *s, bool target_is_enough,
                          struct error *e)
{
    if (!fill_side(c, s, "target", "REBECO_TARGET", &s->target, e))
        return false;
    bool may_lack_source = target_is_enough && getenv("REBECO_SOURCE") == NULL;
    if (s->source == NULL && may_lack_source)
        return true;
    if (!fill_side(c, s, "source", "REBECO_SOURCE", &s->source, e))
        return false;
    s->follower.password_command = s->source->password_command;
    if (!check_shaping(s, e) || !check_triggers(s, e))
        return false;
    if (strcmp(s->source->url, s->target->url) != 0)
        return true;
    error_set(e, "the sync \"%s\" has the same database as source and as target", s->name);
    if (s->place != NULL)
        error_place(e, "%s", s->place);
    return false;
}

/* The page and the metrics have names of tables and words of servers, which may hold data. */
static bool check_http(const struct config *c, struct error *e)
{
    struct address a;
    if (strcmp(c->http_listen, "none") == 0 || c->http_token_file != NULL)
        return true;
    if (!address_parse(c->http_listen, &a) || address_is_loopback(&a))
        return true;
    error_set(e, "http.listen is %s, which other machines can reach, and there is no token",
              c->http_listen);
    error_hint(e, "Name a file with a secret in http.token_file, or listen at 127.0.0.1 only.");
    error_place(e, "%s", c->file);
    return false;
}

static bool complete(struct config *c, bool target_is_enough, struct error *e)
{
    if (!check_http(c, e))
        return false;
    for (struct list *i = c->syncs.next; i != &c->syncs; i = i->next) {
        if (!complete_sync(c, sync_of(i), target_is_enough, e))
            return false;
    }
    return target_is_enough || config_ring_check(c, e);
}

/* ---------------------------------------------------------------- load */

struct config *config_new(void)
{
    struct arena *a = arena_new();
    struct config *c = arena_alloc(a, sizeof *c);
    c->arena = a;
    list_init(&c->databases);
    list_init(&c->syncs);
    config_option_defaults(NULL, c, a);
    return c;
}

struct config *config_load(const struct config_arguments *args, struct error *e)
{
    struct config *c = config_new();
    bool ok = load_file(c, args->file, e) && set_log(c, args, e);
    if (ok && list_is_empty(&c->syncs))
        config_yaml_add_sync(c);
    ok = ok && override_databases(c, args, e) && complete(c, args->target_is_enough, e);
    ok = ok && (args->sync == NULL || config_sync_find(c, args->sync, e) != NULL);
    if (ok)
        return c;
    config_free(c);
    return NULL;
}

void config_free(struct config *c)
{
    if (c != NULL)
        arena_free(c->arena);
}

static bool fail_several(struct config *c, struct error *e)
{
    struct buf names;
    buf_init(&names);
    for (struct list *i = c->syncs.next; i != &c->syncs; i = i->next)
        buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", sync_of(i)->name);
    error_set(e, "the configuration has several syncs, and which one is not said");
    error_hint(e, "Give --sync with one of: %s.", names.data);
    buf_fini(&names);
    return false;
}

struct config_sync *config_sync_find(struct config *c, const char *name, struct error *e)
{
    bool is_only = c->syncs.next->next == &c->syncs;
    if (name == NULL && !is_only) {
        fail_several(c, e);
        return NULL;
    }
    for (struct list *i = c->syncs.next; i != &c->syncs; i = i->next) {
        if (name == NULL || strcmp(sync_of(i)->name, name) == 0)
            return sync_of(i);
    }
    error_set(e, "there is no sync \"%s\"", name);
    error_hint(e, "`rebeco config` prints the configuration with its syncs.");
    return NULL;
}

bool config_takes_table_marking(const struct config_sync *c, const char *schema, const char *table,
                                bool *included, bool *excluded)
{
    bool is_in = config_patterns_match(&c->include, schema, table, included);
    bool is_out = config_patterns_match(&c->exclude, schema, table, excluded);

    return (is_in || c->include.count == 0) && !is_out;
}

bool config_takes_table(const struct config_sync *c, const char *schema, const char *table)
{
    return config_takes_table_marking(c, schema, table, NULL, NULL);
}

bool config_takes_everything(const struct config_sync *c)
{
    for (int i = 0; i < c->include.count; i++)
        if (strcmp(c->include.texts[i], "*.*") == 0)
            return true;
    return c->include.count == 0;
}
