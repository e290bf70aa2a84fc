/* The configuration: every option changes what it is for, every mistake is named with its place,
 * and no password comes out. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "capture.h"
#include "config_option.h"
#include "config_rules.h"
#include "config_value.h"

static char path[] = "/tmp/rebeco-test-config-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    unsetenv("REBECO_SOURCE");
    unsetenv("REBECO_TARGET");
    setenv("SECRET", "hunter2", 1);
    setenv("NUMBER", "7", 1);
    setenv("SOURCE_URL", "postgresql://u:hunter2@a/x", 1);
    setenv("TARGET_URL", "host=b dbname=y password=hunter2", 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* Loads a file with this text. */
static struct config *load(const char *text, struct error *e)
{
    struct config_arguments args = {.file = path};
    error_clear(e);
    write_file(text);
    return config_load(&args, e);
}

static struct config *load_good(const char *text)
{
    struct error e;
    struct config *c = load(text, &e);
    if (c == NULL)
        fail_msg("%s\n-- %s at %s (%s)", text, e.what, e.place, e.hint);
    return c;
}

static struct config_sync *first_sync(struct config *c)
{
    return container_of(c->syncs.next, struct config_sync, in_config);
}

#define BASES                                                                                      \
    "databases:\n"                                                                                 \
    "  a: {url: 'postgresql://a/x'}\n"                                                             \
    "  b: {url: 'host=b dbname=y'}\n"

/* ---------------------------------------------------------------- every option */

enum kind {
    KIND_TEXT,
    KIND_BOOL,
    KIND_INT,
    KIND_INT64,
    KIND_DOUBLE,
    KIND_LIST,
    KIND_RULES,
    KIND_DATABASE
};

/* A value for an option, and what must then stand in the struct. */
struct option_case {
    const char *path;
    const char *yaml; /* of the whole sync */
    size_t offset;
    enum kind kind;
    double number;
    const char *text;
};

static const struct option_case option_cases[] = {
    {"syncs[].name", "name: app", offsetof(struct config_sync, name), KIND_TEXT, 0, "app"},
    {"syncs[].source", "source: b, target: a", offsetof(struct config_sync, source), KIND_DATABASE,
     0, "b"},
    {"syncs[].target", "source: b, target: a", offsetof(struct config_sync, target), KIND_DATABASE,
     0, "a"},
    {"syncs[].mode", "mode: one-way", offsetof(struct config_sync, mode), KIND_INT, CONFIG_ONE_WAY,
     NULL},
    {"syncs[].mode", "mode: two-way", offsetof(struct config_sync, mode), KIND_INT, CONFIG_TWO_WAY,
     NULL},
    {"syncs[].conflict.default", "conflict: {default: skip}",
     offsetof(struct config_sync, conflict_default), KIND_TEXT, 0, "skip"},
    {"syncs[].conflict.default", "conflict: {default: app.resolve}",
     offsetof(struct config_sync, conflict_default), KIND_TEXT, 0, "app.resolve"},
    {"syncs[].conflict.keep", "conflict: {keep: 2h}", offsetof(struct config_sync, conflict_keep_s),
     KIND_DOUBLE, 7200, NULL},
    {"syncs[].conflict.tables", "conflict: {tables: {a.b: skip, 'c.*': x.y}}",
     offsetof(struct config_sync, conflict_tables), KIND_LIST, 2, "c.*"},
    {"syncs[].conflict.merge", "conflict: {merge: [a.b, 'c.*']}",
     offsetof(struct config_sync, merge), KIND_LIST, 2, "c.*"},
    {"syncs[].conflict.counters", "conflict: {counters: {a.b: [n, m]}}",
     offsetof(struct config_sync, counters), KIND_RULES, 1, "m"},
    {"syncs[].schema", "schema: expect", offsetof(struct config_sync, schema), KIND_INT,
     CONFIG_SCHEMA_EXPECT, NULL},
    {"syncs[].schema", "schema: copy", offsetof(struct config_sync, schema), KIND_INT,
     CONFIG_SCHEMA_COPY, NULL},
    {"syncs[].tables.include", "tables: {include: [a.b, 'c.*']}",
     offsetof(struct config_sync, include), KIND_LIST, 2, "c.*"},
    {"syncs[].tables.exclude", "tables: {exclude: [a.b, b.c, '\"x.y\".z']}",
     offsetof(struct config_sync, exclude), KIND_LIST, 3, "\"x.y\".z"},
    {"syncs[].tables.rename", "schema: expect, tables: {rename: {a.b: c.d, 'x.*': 'y.*'}}",
     offsetof(struct config_sync, rename), KIND_RULES, 2, "y.*"},
    {"syncs[].tables.columns", "tables: {columns: {'a.*': [id, name]}}",
     offsetof(struct config_sync, columns), KIND_RULES, 1, "name"},
    {"syncs[].tables.where", "tables: {where: {a.b: 'x > 1'}}", offsetof(struct config_sync, where),
     KIND_RULES, 1, "x > 1"},
    {"syncs[].tables.whole", "tables: {whole: [a.b, '*.small']}",
     offsetof(struct config_sync, whole), KIND_LIST, 2, "*.small"},
    {"syncs[].tables.whole_every", "tables: {whole_every: 2m}",
     offsetof(struct config_sync, whole_every_s), KIND_DOUBLE, 120, NULL},
    {"syncs[].tables.fire_triggers", "tables: {fire_triggers: [a.b, '*.audit']}",
     offsetof(struct config_sync, fire_triggers), KIND_LIST, 2, "*.audit"},
    {"syncs[].new_tables", "new_tables: false", offsetof(struct config_sync, new_tables), KIND_BOOL,
     0, NULL},
    {"syncs[].capture", "capture: row", offsetof(struct config_sync, capture), KIND_TEXT, 0, "row"},
    {"syncs[].capture", "capture: statement", offsetof(struct config_sync, capture), KIND_TEXT, 0,
     "statement"},
    {"syncs[].lock_timeout", "lock_timeout: 50ms", offsetof(struct config_sync, lock_timeout_s),
     KIND_DOUBLE, 0.05, NULL},
    {"syncs[].log_limit", "log_limit: 2TB", offsetof(struct config_sync, log_limit_bytes),
     KIND_INT64, 2199023255552.0, NULL},
    {"syncs[].large_objects", "large_objects: copy", offsetof(struct config_sync, large_objects),
     KIND_INT, CONFIG_LARGE_COPY, NULL},
    {"syncs[].large_objects", "large_objects: ignore", offsetof(struct config_sync, large_objects),
     KIND_INT, CONFIG_LARGE_IGNORE, NULL},
    {"syncs[].sequences.headroom", "sequences: {headroom: 123456789012}",
     offsetof(struct config_sync, sequence_headroom), KIND_INT64, 123456789012.0, NULL},
    {"syncs[].sequences.interval", "sequences: {interval: 1m}",
     offsetof(struct config_sync, sequence_interval_s), KIND_DOUBLE, 60, NULL},
    {"syncs[].sequences.two_way", "sequences: {two_way: offset}",
     offsetof(struct config_sync, sequences_apart), KIND_INT, CONFIG_APART_OFFSET, NULL},
    {"syncs[].materialized_views.refresh[]", "materialized_views: {refresh: []}",
     offsetof(struct config_sync, matview_initial), KIND_BOOL, 0, NULL},
    {"syncs[].materialized_views.refresh[]", "materialized_views: {refresh: [initial]}",
     offsetof(struct config_sync, matview_initial), KIND_BOOL, 1, NULL},
    {"syncs[].materialized_views.refresh[]", "materialized_views: {refresh: [on-change]}",
     offsetof(struct config_sync, matview_on_change), KIND_BOOL, 1, NULL},
    {"syncs[].materialized_views.refresh[].every",
     "materialized_views: {refresh: [on-change, {every: 10m}]}",
     offsetof(struct config_sync, matview_every_s), KIND_DOUBLE, 600, NULL},
    {"syncs[].copy.streams", "copy: {streams: 9}", offsetof(struct config_sync, copy_streams),
     KIND_INT, 9, NULL},
    {"syncs[].copy.split_size", "copy: {split_size: 1.5MB}",
     offsetof(struct config_sync, copy_split_bytes), KIND_INT64, 1572864, NULL},
    {"syncs[].copy.follower", "copy: {follower: 'host=f'}",
     offsetof(struct config_sync, follower.url), KIND_TEXT, 0, "host=f"},
    {"syncs[].copy.max_rate", "copy: {max_rate: 50MB/s}",
     offsetof(struct config_sync, copy_max_rate), KIND_INT64, 52428800, NULL},
    {"syncs[].copy.adopt", "mode: two-way, copy: {adopt: yes}",
     offsetof(struct config_sync, copy_adopt), KIND_BOOL, 1, NULL},
    {"syncs[].apply.batch_bytes", "apply: {batch_bytes: 65536}",
     offsetof(struct config_sync, apply_batch_bytes), KIND_INT64, 65536, NULL},
    {"syncs[].network_timeout", "network_timeout: 3s",
     offsetof(struct config_sync, network_timeout_s), KIND_DOUBLE, 3, NULL},
    {"syncs[].poll", "poll: 1s", offsetof(struct config_sync, poll_s), KIND_DOUBLE, 1, NULL},
};

static void check_field(const struct option_case *o, const void *base)
{
    const void *p = (const char *)base + o->offset;
    switch (o->kind) {
    case KIND_TEXT:
        assert_string_equal(*(const char *const *)p, o->text);
        break;
    case KIND_BOOL:
        assert_int_equal(*(const bool *)p, o->number != 0);
        break;
    case KIND_INT:
        assert_int_equal(*(const int *)p, (int)o->number);
        break;
    case KIND_INT64:
        assert_true(*(const int64_t *)p == (int64_t)o->number);
        break;
    case KIND_DOUBLE:
        assert_true(*(const double *)p == o->number);
        break;
    case KIND_LIST:
        assert_int_equal(((const struct config_patterns *)p)->count, (int)o->number);
        assert_string_equal(((const struct config_patterns *)p)->texts[(int)o->number - 1],
                            o->text);
        break;
    case KIND_RULES: {
        const struct config_rules *r = p;
        assert_int_equal(r->count, (int)o->number);
        const struct config_rule *last = &r->rules[r->count - 1];
        assert_string_equal(last->values[last->count - 1], o->text);
        break;
    }
    case KIND_DATABASE:
        assert_string_equal((*(struct config_database *const *)p)->name, o->text);
        break;
    }
}

static void test_every_option_of_a_sync_changes_its_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof option_cases / sizeof option_cases[0]; i++) {
        const struct option_case *o = &option_cases[i];
        char text[1000];
        bool has_ends = strstr(o->yaml, "source:") != NULL;
        snprintf(text, sizeof text, BASES "syncs:\n  - {%s%s}\n",
                 has_ends ? "" : "source: a, target: b, ", o->yaml);
        struct config *c = load_good(text);
        check_field(o, first_sync(c));
        config_free(c);
    }
}

static void test_options_of_the_file(void **state)
{
    (void)state;
    struct config *c =
        load_good(BASES "syncs: [{source: a, target: b}]\n"
                        "log: {format: json, level: debug}\n"
                        "http: {listen: '[::1]:9', token_file: /a, ready_lag: 3s}\n"
                        "hooks: {copied: a 1, in_sync: b, drift: c, lag: d, conflict: e, error: f,"
                        " stopped: g, lag_limit: 7s, timeout: 8s}\n");
    static const char *const hooks[] = {"a 1", "b", "c", "d", "e", "f", "g"};
    for (int i = 0; i < CONFIG_HOOKS; i++)
        assert_string_equal(c->hooks[i], hooks[i]);
    assert_true(c->hooks_lag_limit_s == 7);
    assert_true(c->hooks_timeout_s == 8);
    assert_string_equal(c->http_listen, "[::1]:9");
    assert_string_equal(c->http_token_file, "/a");
    assert_true(c->http_ready_lag_s == 3);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->log_level, LOG_DEBUG);
    struct config_database *a = container_of(c->databases.next, struct config_database, in_config);
    assert_string_equal(a->name, "a");
    assert_string_equal(a->url, "postgresql://a/x");
    assert_string_equal(a->schema, "rebeco");
    assert_null(a->password_command);
    assert_null(a->url_template);
    config_free(c);
}

static void test_how_to_log_in(void **state)
{
    (void)state;
    char text[1000];
    snprintf(text, sizeof text,
             "databases:\n"
             "  a: {url: 'host=a', password_command: 'get --token \"x y\"'}\n"
             "  b: {url: 'host=b dbname=${file:/proc/sys/kernel/ostype}'}\n"
             "syncs: [{source: a, target: b, copy: {follower: "
             "'host=${file:/proc/sys/kernel/ostype}'}}]\n");
    struct config *c = load_good(text);
    const struct config_sync *s = first_sync(c);
    assert_string_equal(s->source->password_command, "get --token \"x y\"");
    assert_string_equal(s->follower.password_command, s->source->password_command);
    assert_null(s->source->url_template);
    assert_string_equal(s->target->url, "host=b dbname=Linux");
    assert_string_equal(s->target->url_template, "host=b dbname=${file:/proc/sys/kernel/ostype}");
    assert_string_equal(s->follower.url_template, "host=${file:/proc/sys/kernel/ostype}");
    config_free(c);
}

/* A row of the table without a case here is an option that nobody tests. */
static void test_no_option_is_without_a_test(void **state)
{
    (void)state;
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        bool is_value = strncmp(o->path, "syncs[].", 8) == 0 && o->type != OPTION_GROUP;
        bool has_case = false;
        for (size_t i = 0; i < sizeof option_cases / sizeof option_cases[0]; i++)
            has_case = has_case || strcmp(option_cases[i].path, o->path) == 0;
        if (is_value && !has_case)
            fail_msg("no test for %s", o->path);
        assert_true(strlen(o->help) > 10 && o->help[strlen(o->help) - 1] == '.');
    }
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *c = load_good(BASES "syncs: [{source: a, target: b}]\n");
    struct config_sync *s = first_sync(c);
    assert_string_equal(s->name, "default");
    assert_int_equal(s->mode, CONFIG_ONE_WAY);
    assert_int_equal(s->schema, CONFIG_SCHEMA_AUTO);
    assert_int_equal(s->include.count, 1);
    assert_string_equal(s->include.texts[0], "*.*");
    assert_int_equal(s->exclude.count, 0);
    assert_int_equal(s->whole.count, 0);
    assert_true(s->whole_every_s == 10);
    assert_true(s->new_tables);
    assert_string_equal(s->capture, "auto");
    assert_true(s->lock_timeout_s == 0.2);
    assert_true(s->log_limit_bytes == 1073741824);
    assert_true(s->sequence_headroom == 1000);
    assert_true(s->sequence_interval_s == 5);
    assert_true(s->matview_initial);
    assert_false(s->matview_on_change);
    assert_true(s->matview_every_s == 0);
    assert_int_equal(s->copy_streams, 4);
    assert_true(s->copy_split_bytes == 268435456);
    assert_null(s->follower.url);
    assert_true(s->copy_max_rate == 0);
    assert_true(s->apply_batch_bytes == 16777216);
    assert_true(s->network_timeout_s == 15);
    assert_true(s->poll_s == 0.01);
    assert_string_equal(c->http_listen, "127.0.0.1:8080");
    assert_null(c->http_token_file);
    assert_true(c->http_ready_lag_s == 30);
    assert_int_equal(c->log_format, LOG_TEXT);
    assert_int_equal(c->log_level, LOG_INFO);
    config_free(c);
}

/* ---------------------------------------------------------------- every mistake */

struct mistake {
    const char *text;
    const char *at;   /* line:column; NULL: the error has another place or none */
    const char *what; /* part of what is said */
    const char *hint; /* part of the hint; NULL: any */
};

#define SYNC BASES "syncs:\n  - source: a\n    target: b\n    " /* the option follows at 7:5 */

static const struct mistake mistakes[] = {
    /* Keys. */
    {"database: {}\n", "1:1", "no option \"database\"", "Did you mean \"databases\"?"},
    {SYNC "copy:\n      steams: 4\n", "8:7", "no option \"steams\" in syncs[].copy",
     "Did you mean \"streams\"?"},
    {SYNC "streams: 4\n", "7:5", "no option \"streams\"",
     "It stands elsewhere: syncs[].copy.streams"},
    {SYNC "colour: red\n", "7:5", "no option \"colour\"", "config sample"},
    {SYNC "pol: 1s\n", "7:5", "no option \"pol\"", "\"poll\""},
    {SYNC "name: x\n    name: y\n", "8:5", "syncs[].name is there twice", NULL},
    {"databases:\n  a: {url: 'host=a', url: 'host=b'}\n", "2:22", "url is there twice", NULL},
    {"databases:\n  a: {url: 'host=a'}\n  a: {url: 'host=b'}\n", "3:3", "\"a\" is there twice",
     NULL},
    {"databases:\n  a: {schema: rebeco}\n", "2:6", "databases.*.url is missing", NULL},
    {"databases:\n  a:\n", "2:5", "databases.*.url is missing", NULL},
    {"databases:\n  a: {url: 'host=a', password_script: x}\n", "2:22", "password_script", NULL},
    {"log: {}\nlog: {}\n", "2:1", "log is there twice", NULL},
    {"http: {port: 8080}\n", "1:8", "no option \"port\" in http", NULL},
    {"http: {listen: 8080}\n", "1:16", "is not none or address:port", NULL},
    {"http: {listen: 'example.com:80'}\n", "1:16", "is not none or address:port", NULL},
    {"http: {listen: '127.0.0.1:0'}\n", "1:16", "is not none or address:port", NULL},
    {"http: {listen: '127.0.0.1:65536'}\n", "1:16", "is not none or address:port", NULL},
    {"http: {token_file: ''}\n", "1:20", "is not the path of a file", NULL},
    {BASES "syncs: [{source: a, target: b}]\nhttp: {listen: '0.0.0.0:80'}\n", NULL,
     "other machines can reach", "http.token_file"},
    {BASES "  '': {url: 'host=c'}\n", "4:3", "empty", NULL},
    {"{a: 1}: 2\n", "1:1", "must be a single value", NULL},
    /* Kinds. */
    {"[]\n", "1:1", "the file must be a mapping", NULL},
    {"text\n", "1:1", "the file must be a mapping", NULL},
    {"databases: []\n", "1:12", "databases.* must be a mapping", NULL},
    {"databases: x\n", "1:12", "databases.* must be a mapping", NULL},
    {"databases:\n  a: host=a\n", "2:6", "databases.* must be a mapping", NULL},
    {"syncs: {}\n", "1:8", "syncs[] must be a list", NULL},
    {"syncs: [x]\n", "1:9", "syncs[] must be a mapping", NULL},
    {SYNC "copy: 4\n", "7:11", "syncs[].copy must be a mapping", NULL},
    {SYNC "copy: [4]\n", "7:11", "syncs[].copy must be a mapping", NULL},
    {SYNC "poll: [1s]\n", "7:11", "syncs[].poll must be a single value", NULL},
    {SYNC "poll: {a: 1s}\n", "7:11", "syncs[].poll must be a single value", NULL},
    {SYNC "poll:\n", "7:10", "syncs[].poll must be given a value", NULL},
    {SYNC "poll: ~\n", "7:11", "must be given a value", NULL},
    {SYNC "tables: {include: a.b}\n", "7:23", "must be a list", NULL},
    {SYNC "tables: {include: [[a.b]]}\n", "7:24", "must be a single value", NULL},
    {SYNC "tables: {include: }\n", NULL, "must be a list", NULL},
    {SYNC "poll: \"1s\\0\"\n", "7:11", "a text without \\0", NULL},
    /* Values. */
    {SYNC "new_tables: maybe\n", "7:17", "\"maybe\" is not true or false", NULL},
    {SYNC "copy: {streams: four}\n", "7:21", "\"four\" is not a whole number", NULL},
    {SYNC "copy: {streams: 4.5}\n", "7:21", "\"4.5\" is not a whole number", NULL},
    {SYNC "copy: {streams: 0x4}\n", "7:21", "is not a whole number", NULL},
    {SYNC "copy: {streams: -1}\n", "7:21", "is not a whole number", NULL},
    {SYNC "copy: {streams: ''}\n", "7:21", "\"\" is not a whole number", NULL},
    {SYNC "copy: {streams: 0}\n", "7:21", "must be from 1 to 64", NULL},
    {SYNC "copy: {streams: 65}\n", "7:21", "must be from 1 to 64", NULL},
    {SYNC "copy: {streams: 99999999999999999999}\n", "7:21", "is not a whole number", NULL},
    {SYNC "copy: {split_size: 5 parsecs}\n", "7:24", "is not a size such as 256MB", NULL},
    {SYNC "copy: {split_size: 1kB}\n", "7:24", "must be from 64kB to 1TB", NULL},
    {SYNC "copy: {max_rate: 50MB}\n", "7:22", "is not a rate such as 50MB/s", NULL},
    {SYNC "copy: {max_rate: 5}\n", "7:22", "is not a rate", NULL},
    {SYNC "poll: 5\n", "7:11", "\"5\" is not a duration such as", NULL},
    {SYNC "poll: 5us\n", "7:11", "is not a duration", NULL},
    {SYNC "poll: 1h\n", "7:11", "must be from 1ms to 1m", NULL},
    {SYNC "poll: 0\n", "7:11", "must be from 1ms to 1m", NULL},
    {SYNC "poll: 1..5s\n", "7:11", "is not a duration", NULL},
    {SYNC "poll: nan\n", "7:11", "is not a duration", NULL},
    {SYNC "capture: rows\n", "7:14", "\"rows\" is not one of these", "auto, row, statement"},
    {SYNC "schema: dump\n", "7:13", "\"dump\" is not one of these", "auto, expect, copy"},
    {SYNC "conflict: {default: newest}\n", "7:25", "\"newest\" is not one of these", "schema.name"},
    {SYNC "conflict: {tables: [a.b]}\n", "7:24", "must be a mapping", NULL},
    {SYNC "conflict: {tables: {accounts: source}}\n", "7:25", "not of the form schema.table", NULL},
    {SYNC "conflict: {tables: {a.b: newest}}\n", "7:30", "is not one of these", "latest"},
    {SYNC "conflict: {merge: [accounts]}\n", "7:24", "not of the form schema.table", NULL},
    {SYNC "conflict: {counters: [a.b]}\n", "7:26", "must be a mapping", NULL},
    {SYNC "mode: both\n", "7:11", "\"both\" is not one of these", NULL},
    {SYNC "name: 'a b'\n", "7:11", "is not a name", NULL},
    {SYNC "name: ''\n", "7:11", "is not a name", NULL},
    {SYNC "name: a234567890123456789012345678901234567890123456789012345678901234\n", "7:11",
     "is not a name", NULL},
    {SYNC "tables: {include: [orders]}\n", "7:24", "not of the form schema.table", NULL},
    {SYNC "tables: {exclude: [a.b, '\"x.y']}\n", "7:29", "a quote that is not closed", NULL},
    {SYNC "materialized_views: {refresh: [cutover]}\n", "7:36", "\"cutover\"",
     "initial, on-change"},
    {SYNC "materialized_views: {refresh: [{each: 1s}]}\n", "7:37", "no option \"each\"", NULL},
    {SYNC "materialized_views: {refresh: [{every: 1ms}]}\n", "7:44", "must be from 1s", NULL},
    {SYNC "materialized_views: {refresh: [{}]}\n", "7:36", "every is missing", NULL},
    {"log: {level: loud}\n", "1:14", "\"loud\" is not one of these", "debug, info, notice"},
    {"log: {format: xml}\n", "1:15", "\"xml\" is not one of these", "text, json"},
    {"databases: {a: {url: 'host=a', schema: mine}}\n", "1:40", "\"mine\" is not one of these",
     "rebeco"},
    {"databases: {a: {url: ''}}\n", "1:22", "is not a PostgreSQL URL", "empty"},
    {"databases: {a: {url: 'mysql://u:hunter2@x/y'}}\n", "1:22", "is not a PostgreSQL URL",
     "password"},
    {"databases: {a: {url: 'postgresql://u:hunter2@x:port/y?hunter2'}}\n", "1:22",
     "is not a PostgreSQL URL", "password"},
    {"databases: {a: {url: 'password=hunter2 hunter2'}}\n", "1:22", "is not a PostgreSQL URL",
     "password"},
    {"databases: {a: {url: 'postgresql://u:hunter2@x/y?sslmode=requir'}}\n", "1:22",
     "invalid sslmode value", "libpq"},
    {"databases: {a: {url: 'postgresql://u:hunter2@x:99999/y'}}\n", "1:22", "invalid port number",
     "libpq"},
    {"databases: {a: {url: 'host=a,b port=1,2,3'}}\n", "1:22", "could not match", "libpq"},
    /* What is put in. */
    {SYNC "name: ${NOT_SET_ANYWHERE}\n", "7:11", "NOT_SET_ANYWHERE is not set", "$${"},
    {SYNC "name: a${file:/nowhere/at/all}\n", "7:11", "cannot read /nowhere/at/all", NULL},
    {SYNC "name: ${file:/tmp}\n", "7:11", "cannot read /tmp", NULL},
    {SYNC "name: ${file:/dev/zero}\n", "7:11", "/dev/zero is not a text", NULL},
    {SYNC "name: ${SECRET\n", "7:11", "is not closed", "$${"},
    {SYNC "name: '${}'\n", "7:11", "neither ${VARIABLE}", NULL},
    {SYNC "name: '${1A}'\n", "7:11", "neither ${VARIABLE}", NULL},
    {SYNC "name: '${A:-b}'\n", "7:11", "neither ${VARIABLE}", NULL},
    {SYNC "copy: {streams: '${SECRET}'}\n", "7:21", "what was put in for ${...} is not", NULL},
    {SYNC "capture: '${SECRET}'\n", "7:14", "what was put in for ${...} is not", NULL},
    {SYNC "copy: {streams: ${NUMBER}}\n", "7:21", "\"$\" is not", "needs quotes"},
    /* Databases and syncs. */
    {BASES "syncs: [{source: c, target: b}]\n", "4:18", "no database \"c\"", NULL},
    {BASES "syncs: [{source: a, target: B}]\n", "4:29", "no database \"B\"", NULL},
    {BASES "syncs: [{source: a, target: a}]\n", "4:9", "same database", NULL},
    {BASES "syncs: [{target: b}]\n", "4:9", "has no source", "--source"},
    {BASES "syncs: [{source: a}]\n", "4:9", "has no target", "REBECO_TARGET"},
    {BASES "syncs:\n  - {source: a, target: b}\n  - {source: b, target: a}\n", "6:5",
     "two syncs are named \"default\"", "`name`"},
    {BASES "syncs:\n  - {name: x, source: a, target: b}\n  - {name: x, source: b, target: a}\n",
     "6:5", "two syncs are named \"x\"", NULL},
    {BASES "syncs: []\n", NULL, "has no target", NULL},
    {"", NULL, "has no target", NULL},
    {"# only a comment\n", NULL, "has no target", NULL},
    /* YAML. */
    {"databases: {\n", "2:1", "this is not YAML", NULL},
    {"log: {level: 'info}\n", "2:1", "this is not YAML", NULL},
    {"\ttab: 1\n", "1:1", "this is not YAML", NULL},
    {"log: {level: info}\n---\nlog: {}\n", "2:1", "second document", NULL},
    {SYNC "tables: {include: [*.*]}\n", "7:25", "this is not YAML", "quotes: \"*.*\""},
    {SYNC "tables: {include: [*x]}\n", "7:24", "an alias", "quotes"},
    {"log: \xff\n", NULL, "this is not YAML", NULL},
};

static void check_mistake(const struct mistake *m)
{
    struct error e;
    char place[300];
    struct config *c = load(m->text, &e);
    snprintf(place, sizeof place, "%s:%s", path, m->at != NULL ? m->at : "");
    bool is_good = c == NULL && strstr(e.what, m->what) != NULL &&
                   (m->at == NULL || strcmp(e.place, place) == 0) &&
                   (m->hint == NULL || strstr(e.hint, m->hint) != NULL);
    if (!is_good)
        fail_msg("%s-- wanted: %s | %s | %s\n-- got: %s | %s | %s", m->text, m->what, place,
                 m->hint != NULL ? m->hint : "", c != NULL ? "no error" : e.what, e.place, e.hint);
    assert_null(strstr(e.what, "hunter2"));
    assert_null(strstr(e.detail, "hunter2"));
    assert_null(strstr(e.hint, "hunter2"));
}

static void test_every_mistake_has_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++)
        check_mistake(&mistakes[i]);
}

static void test_a_file_that_is_not_there(void **state)
{
    (void)state;
    struct error e;
    struct config_arguments args = {.file = "/nowhere/at/all.yaml"};
    error_clear(&e);
    assert_null(config_load(&args, &e));
    assert_non_null(strstr(e.what, "/nowhere/at/all.yaml"));
    assert_string_equal(e.detail, "No such file or directory");
    args.file = "/tmp";
    error_clear(&e);
    assert_null(config_load(&args, &e));
    assert_string_equal(e.detail, "Is a directory");
    args.file = "/dev/zero";
    error_clear(&e);
    assert_null(config_load(&args, &e));
    assert_non_null(strstr(e.what, "larger than"));
}

/* ---------------------------------------------------------------- ${...} */

static void test_substitution(void **state)
{
    (void)state;
    char secret[] = "/tmp/rebeco-test-secret-XXXXXX";
    int fd = mkstemp(secret);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from ${SECRET} file\n\n", 21), 21);
    close(fd);
    char text[2000];
    snprintf(text, sizeof text,
             BASES
             "  c: {url: 'host=h user=\"${SECRET}\" options=''$${X} $Y ${NUMBER}${NUMBER}'''}\n"
             "  d: {url: 'host=h options=''${file:%s}'''}\n"
             "syncs: [{source: c, target: d, name: 'x${NUMBER}', copy: {streams: '${NUMBER}'}}]\n",
             secret);
    struct config *c = load_good(text);
    struct config_sync *s = first_sync(c);
    assert_string_equal(s->source->url, "host=h user=\"hunter2\" options='${X} $Y 77'");
    assert_string_equal(s->target->url, "host=h options='from ${SECRET} file\n'");
    assert_string_equal(s->name, "x7");
    assert_int_equal(s->copy_streams, 7);
    config_free(c);
    unlink(secret);
}

/* Nothing that is put in can become structure. */
static void test_substitution_is_not_yaml(void **state)
{
    (void)state;
    setenv("EVIL", "host=h', schema: x}\nlog: {level: debug}\n#", 1);
    struct error e;
    struct config *c = load("databases: {a: {url: \"${EVIL}\"}}\n", &e);
    assert_null(c);
    assert_non_null(strstr(e.what, "is not a PostgreSQL URL"));
    unsetenv("EVIL");
}

/* ---------------------------------------------------------------- the command line */

static void test_without_a_file(void **state)
{
    (void)state;
    struct error e;
    struct config_arguments args = {.source = "host=a", .target = "host=b"};
    error_clear(&e);
    struct config *c = config_load(&args, &e);
    assert_non_null(c);
    assert_string_equal(first_sync(c)->name, "default");
    assert_string_equal(first_sync(c)->source->url, "host=a");
    assert_string_equal(first_sync(c)->target->url, "host=b");
    assert_string_equal(first_sync(c)->include.texts[0], "*.*");
    config_free(c);

    setenv("REBECO_SOURCE", "host=c", 1);
    setenv("REBECO_TARGET", "host=d", 1);
    c = config_load(&args, &e);
    assert_string_equal(first_sync(c)->source->url, "host=a");
    config_free(c);
    args.source = NULL;
    c = config_load(&args, &e);
    assert_string_equal(first_sync(c)->source->url, "host=c");
    assert_string_equal(first_sync(c)->target->url, "host=b");
    config_free(c);
    unsetenv("REBECO_SOURCE");
    unsetenv("REBECO_TARGET");
}

static void test_bad_arguments(void **state)
{
    (void)state;
    struct error e;
    struct config_arguments args = {.source = "nonsense://x:hunter2", .target = "host=b"};
    error_clear(&e);
    assert_null(config_load(&args, &e));
    assert_string_equal(e.place, "--source");
    assert_null(strstr(e.hint, "hunter2"));
    args = (struct config_arguments){.source = "host=a", .target = "host=b", .log_level = "loud"};
    error_clear(&e);
    assert_null(config_load(&args, &e));
    assert_string_equal(e.place, "--log-level");
    args = (struct config_arguments){.source = "host=a", .target = "host=b", .sync = "other"};
    error_clear(&e);
    assert_null(config_load(&args, &e));
    assert_non_null(strstr(e.what, "\"other\""));
    args = (struct config_arguments){
        .source = "host=a", .target = "host=b", .log_format = "json", .log_level = "error"};
    error_clear(&e);
    struct config *c = config_load(&args, &e);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->log_level, LOG_ERROR);
    config_free(c);
}

static void test_a_target_can_be_enough(void **state)
{
    (void)state;
    struct error e;
    struct config_arguments args = {.target = "host=b", .target_is_enough = true};
    error_clear(&e);
    struct config *c = config_load(&args, &e);
    assert_non_null(c);
    assert_null(first_sync(c)->source);
    config_free(c);
    args.target_is_enough = false;
    assert_null(config_load(&args, &e));
}

static const char two_syncs[] =
    BASES "syncs:\n"
          "  - {name: one, source: a, target: b}\n"
          "  - {name: two, source: b, target: a, tables: {include: [x.y]}}\n";

static void test_overrides(void **state)
{
    (void)state;
    struct error e;
    struct config_arguments args = {.file = path, .source = "host=z"};
    write_file(BASES "syncs: [{source: a, target: b}]\n");
    error_clear(&e);
    struct config *c = config_load(&args, &e);
    assert_string_equal(first_sync(c)->source->url, "host=z");
    assert_string_equal(first_sync(c)->target->url, "host=b dbname=y");
    config_free(c);
    write_file(two_syncs);
    assert_null(config_load(&args, &e));
    assert_non_null(strstr(e.what, "several syncs"));
    error_clear(&e);
    args.sync = "two";
    c = config_load(&args, &e);
    assert_non_null(c);
    assert_string_equal(config_sync_find(c, "one", &e)->source->url, "postgresql://a/x");
    assert_string_equal(config_sync_find(c, "two", &e)->source->url, "host=z");
    config_free(c);
}

static void test_finding_a_sync(void **state)
{
    (void)state;
    struct error e;
    struct config *c = load_good(two_syncs);
    error_clear(&e);
    assert_string_equal(config_sync_find(c, "two", &e)->name, "two");
    assert_null(config_sync_find(c, NULL, &e));
    assert_non_null(strstr(e.hint, "one, two"));
    error_clear(&e);
    assert_null(config_sync_find(c, "three", &e));
    config_free(c);
}

/* ---------------------------------------------------------------- printing */

static void test_print_hides_passwords_and_reads_back(void **state)
{
    (void)state;
    struct capture first = {.text = NULL}, second = {.text = NULL};
    struct config *c = load_good(
        "databases:\n"
        "  \"odd \\\"name\\\"\": {url: "
        "'postgresql://u%20v:hunter2@h:5/db?sslpassword=hunter2&sslmode=require'}\n"
        "  b: {url: \"host='a b' dbname='it\\\\'s' password='hunter2 x'\"}\n"
        "syncs:\n"
        "  - {name: x, source: \"odd \\\"name\\\"\", target: b, schema: copy, new_tables: no,\n"
        "     tables: {include: ['\"a b\".*', 'c.?'], exclude: [d.e]}, lock_timeout: 1500ms, "
        "log_limit: 3GB,\n"
        "     materialized_views: {refresh: [on-change, {every: 90s}]}, poll: 1m,\n"
        "     copy: {streams: 3, split_size: 70000, follower: 'password=hunter2', max_rate: "
        "1.5kB/s}}\n"
        "log: {level: notice}\n");
    capture_begin(&first, stdout);
    config_print(c);
    const char *text = capture_end(&first);
    config_free(c);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "password=***"));
    assert_non_null(strstr(text, "sslpassword=***"));
    assert_non_null(strstr(text, "refresh: [on-change, {every: 90s}]"));
    assert_non_null(strstr(text, "lock_timeout: 1500ms"));
    assert_non_null(strstr(text, "split_size: 70000"));
    assert_non_null(strstr(text, "max_rate: 1536B/s"));
    c = load_good(text);
    capture_begin(&second, stdout);
    config_print(c);
    assert_string_equal(capture_end(&second), text);
    config_free(c);
    capture_free(&first);
    capture_free(&second);
}

/* The sample is a good file, and says what holds without it. */
static void test_sample_holds_the_defaults(void **state)
{
    (void)state;
    struct capture sample = {.text = NULL}, full = {.text = NULL}, bare = {.text = NULL};
    capture_begin(&sample, stdout);
    config_print_sample();
    struct config *c = load_good(capture_end(&sample));
    capture_begin(&full, stdout);
    config_print(c);
    capture_end(&full);
    config_free(c);
    c = load_good("databases: {source: {url: '${SOURCE_URL}'}, target: {url: '${TARGET_URL}'}}\n"
                  "syncs: [{source: source, target: target}]\n");
    capture_begin(&bare, stdout);
    config_print(c);
    capture_end(&bare);
    config_free(c);
    assert_string_equal(full.text, bare.text);
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        size_t len;
        char key[100];
        const char *k = config_option_key(o, &len);
        snprintf(key, sizeof key, " %.*s:", (int)len, k);
        bool is_in_list = strcmp(o->path, "syncs[].materialized_views.refresh[].every") == 0;
        if (!is_in_list && strstr(sample.text, key + (k == o->path)) == NULL)
            fail_msg("the sample does not have %s", o->path);
    }
    capture_free(&sample);
    capture_free(&full);
    capture_free(&bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_option_of_a_sync_changes_its_field),
        cmocka_unit_test(test_options_of_the_file),
        cmocka_unit_test(test_how_to_log_in),
        cmocka_unit_test(test_no_option_is_without_a_test),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_mistake_has_its_place),
        cmocka_unit_test(test_a_file_that_is_not_there),
        cmocka_unit_test(test_substitution),
        cmocka_unit_test(test_substitution_is_not_yaml),
        cmocka_unit_test(test_without_a_file),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_a_target_can_be_enough),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_finding_a_sync),
        cmocka_unit_test(test_print_hides_passwords_and_reads_back),
        cmocka_unit_test(test_sample_holds_the_defaults),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
