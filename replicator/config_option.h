/* The table of options: what may stand in a configuration file, and where its value goes.
 *
 * A row's path says where it stands: "syncs[].copy.streams" is the key `streams` in the mapping
 * `copy` of an element of the list `syncs`; "databases.*" is a mapping whose keys are free names.
 * Groups, lists and mappings are rows too, so that they have a help text. */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

enum option_type {
    OPTION_GROUP,     /* a mapping of further options; no value of its own */
    OPTION_DATABASES, /* a mapping from names to groups: struct config_database */
    OPTION_SYNCS,     /* a list of groups: struct config_sync */
    OPTION_NAME,      /* const char *: letters, digits, "_", "-" and "." */
    OPTION_URL,       /* struct config_database: a libpq URL or conninfo; secret */
    OPTION_COMMAND,   /* const char *: a program with its arguments, see words.h */
    OPTION_ADDRESS,   /* const char *: "none", or a numeric address and a port to listen at */
    OPTION_PATH,      /* const char *: of a file */
    OPTION_DATABASE,  /* struct config_database *: the name of one */
    OPTION_BOOL,      /* bool */
    OPTION_INT,       /* int */
    OPTION_COUNT,     /* int64_t */
    OPTION_BYTES,     /* int64_t: "256MB" */
    OPTION_RATE,      /* int64_t, bytes per second: "50MB/s" */
    OPTION_DURATION,  /* double, seconds: "5s", "10m", "200ms" */
    OPTION_WORD,      /* const char *: one of `words` */
    OPTION_ENUM,      /* an enum: the index into `words` */
    OPTION_POLICY,    /* const char *: one of `words`, or the name of a function: schema.name */
    OPTION_POLICIES,  /* the conflict_tables: a mapping from patterns to policies */
    OPTION_PATTERNS,  /* struct config_patterns: a list */
    OPTION_TEXTS,     /* struct config_rules: a mapping from patterns to texts */
    OPTION_LISTS,     /* struct config_rules: a mapping from patterns to lists */
    OPTION_RENAMES,   /* struct config_rules: a mapping from names to names */
    OPTION_REFRESH    /* the three matview_ fields: a list of words and {every: ...} */
};

struct config_option {
    const char *path;
    enum option_type type;
    size_t offset;        /* into the struct of the mapping it stands in */
    const char *standard; /* the default, as in a file (of a list: its only item); NULL: none */
    const char *example;  /* for the sample, where there is no default */
    double min;           /* of a number, in its unit */
    double max;
    const char *const *words; /* of OPTION_WORD, OPTION_ENUM and OPTION_REFRESH; ended by NULL */
    bool required;
    const char *help; /* sentences; also the sample's comment and the manual's text */
};

/* All rows, parents before their children, ended by a row without a path. */
extern const struct config_option config_options[];

/* The key under which the row stands, e.g. "streams"; sets its length. Not ended by '\0'. */
const char *config_option_key(const struct config_option *o, size_t *len);
/* True when the row stands directly in the mapping of `parent`; NULL: at the top of the file. */
bool config_option_is_child(const struct config_option *o, const struct config_option *parent);
/* The row for a key in the mapping of `parent`; NULL when there is none. */
const struct config_option *config_option_find(const struct config_option *parent, const char *key);
/* Sets an error for a key that is not known there, with a hint when something is near. */
void config_option_unknown(const struct config_option *parent, const char *key, struct error *e);
/* Sets the defaults of everything below `parent` in the struct at `base`. */
void config_option_defaults(const struct config_option *parent, void *base, struct arena *a);

#endif
