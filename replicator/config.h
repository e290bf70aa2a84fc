/* The configuration: a table of options, read from YAML, from the environment and from the command
 * line into these structs. All of it lives in one arena and is replaced whole on reload.
 *
 * Every option is a row of a table in config_option.c: name, type, default, unit, help. The sample
 * configuration, the JSON Schema and the manual page are printed from the rows. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "list.h"
#include "log.h"
#include "mem.h"

struct config_database {
    struct list in_config;
    const char *name;
    const char *url;              /* any libpq URL or conninfo; holds secrets, never printed */
    const char *url_template;     /* the same with its ${file:...} in it, NULL: it has none */
    const char *password_command; /* run for every connection, NULL: none */
    const char *schema;           /* the schema that holds our objects: "rebeco" */
};

/* A list of patterns "schema.table" with * and ?; names that need it are written in SQL quotes. */
struct config_patterns {
    int count;
    const char **texts;
    const char **places; /* file:line:column of each, for errors */
};

/* Mappings from patterns to texts or lists of texts: see config_rules.h. */
struct config_rules {
    int count;
    struct config_rule *rules;
};

enum { CONFIG_HOOKS = 7 /* as many as enum hook_event has */ };

enum config_mode { CONFIG_ONE_WAY, CONFIG_TWO_WAY };
enum config_apart { CONFIG_APART_INTERLEAVE, CONFIG_APART_OFFSET };
enum config_schema { CONFIG_SCHEMA_AUTO, CONFIG_SCHEMA_EXPECT, CONFIG_SCHEMA_COPY };
enum config_large { CONFIG_LARGE_AUTO, CONFIG_LARGE_COPY, CONFIG_LARGE_IGNORE };
enum config_until { CONFIG_UNTIL_STOPPED, CONFIG_UNTIL_COPIED, CONFIG_UNTIL_IN_SYNC };

struct config_sync {
    struct list in_config;
    const char *name;
    const char *place; /* file:line:column, for errors; NULL when no file says it */
    struct config_database *source;
    struct config_database *target;
    enum config_mode mode;
    bool is_back; /* made for the way back of a two-way sync: its source is the person's target */
    enum config_schema schema;
    struct config_patterns include; /* default: everything that is the user's */
    struct config_patterns exclude;
    struct config_rules rename;           /* tables and schemas with other names at the target */
    struct config_rules columns;          /* the columns that are taken of a table */
    struct config_rules where;            /* the rows that are taken of a table */
    struct config_patterns fire_triggers; /* tables whose triggers replicated rows set off */
    struct config_patterns whole; /* read as a whole whenever something in them has changed */
    double whole_every_s;         /* at least so long between two readings; default 10 */
    const char
        *conflict_default; /* a policy: source, target, latest, skip, abort, schema.function */
    struct config_patterns conflict_tables; /* those with a policy of their own */
    const char **conflict_policies;         /* theirs */
    struct config_patterns merge;           /* tables of which columns are merged one by one */
    struct config_rules counters;           /* columns to which both ends add */
    double conflict_keep_s;                 /* how long rebeco.conflict keeps a row; default 30 d */
    bool new_tables;                        /* take in tables that appear later; default true */
    const char *capture;                    /* "auto", "row" or "statement" */
    double lock_timeout_s;                  /* for installing capture, at a time; default 0.2 */
    int64_t log_limit_bytes;                /* warn when the change logs hold more; default 1 GB */
    enum config_large large_objects;        /* default: auto */
    int64_t sequence_headroom;              /* default 1000 */
    double sequence_interval_s;             /* default 5 */
    enum config_apart sequences_apart;      /* of the two ends of a two-way sync */
    bool matview_initial;     /* refresh after the first consistent state; default true */
    bool matview_on_change;   /* when tables below have changed; default false */
    double matview_every_s;   /* 0: never; the schedule, and the least time between on-change */
    int copy_streams;         /* default 4 */
    int64_t copy_split_bytes; /* default 256 MB */
    struct config_database follower; /* url NULL: the copy is read from the source */
    int64_t copy_max_rate;           /* bytes per second, 0: no limit */
    bool copy_adopt;                 /* rows that both ends have already are not copied */
    int64_t apply_batch_bytes;       /* rows of a batch in memory at a time; default 16 MB */
    double network_timeout_s;        /* how long a silent network is believed; default 15 */
    double poll_s;                   /* shortest time between two batches; default 0.01 */
};

struct config {
    struct arena *arena;
    struct list databases; /* struct config_database */
    struct list syncs;     /* struct config_sync */
    const char *file;      /* NULL: none was given */
    enum log_format log_format;
    enum log_level log_level;
    const char *http_listen;         /* "none", or an address that address_parse() reads */
    const char *http_token_file;     /* NULL: nobody is asked for a token */
    double http_ready_lag_s;         /* default 30 */
    const char *hooks[CONFIG_HOOKS]; /* a command for each enum hook_event, NULL: none */
    double hooks_lag_limit_s;
    double hooks_timeout_s;
};

/* What the command line said; NULL where it said nothing. */
struct config_arguments {
    const char *file;
    const char *source;
    const char *target;
    const char *sync;
    const char *log_format;
    const char *log_level;
    bool target_is_enough; /* for a command that asks the target only: source may be NULL then */
};

/* Reads everything. NULL and the error (with file:line:column) when anything is wrong: an unknown
 * key, a wrong type, an unset ${VAR}, an unreadable ${file:...}, a sync without its databases.
 * Without a file, --source and --target (or REBECO_SOURCE, REBECO_TARGET) make one sync named
 * "default". Free with config_free(). */
struct config *config_load(const struct config_arguments *args, struct error *e);
void config_free(struct config *c);
/* An empty configuration with its defaults: no databases, no syncs. */
struct config *config_new(void);
/* The sync of that name; with NULL the only one. NULL and the error when there is none. */
struct config_sync *config_sync_find(struct config *c, const char *name, struct error *e);
/* Is the table one of the sync's, by tables.include and exclude? An empty include takes all. */
bool config_takes_table(const struct config_sync *c, const char *schema, const char *table);
/* The same, and marks the patterns of each that mean it; NULL: marks none. */
bool config_takes_table_marking(const struct config_sync *c, const char *schema, const char *table,
                                bool *included, bool *excluded);
/* Its patterns leave nothing out that could be included: it takes what belongs to no table, too. */
bool config_takes_everything(const struct config_sync *c);
/* Prints the effective configuration as YAML (passwords replaced by ***), or the commented sample
 * with every option and its default, or the JSON Schema, on standard output. */
void config_print(const struct config *c);
void config_print_sample(void);
void config_print_json_schema(void);
/* True when `schema`.`table` matches one of the patterns (an empty list matches nothing). Sets
 * used[i] (`used` may be NULL) when pattern i matched, so that patterns matching nothing can be
 * reported. */
bool config_patterns_match(const struct config_patterns *p, const char *schema, const char *table,
                           bool *used);

#endif
