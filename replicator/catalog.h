/* What the databases hold: relations and their columns, as read from each end's catalog.
 *
 * A catalog is one reading of one end; it lives in an arena and is replaced whole. */
#ifndef CATALOG_H
#define CATALOG_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "mem.h"

struct column {
    const char *name;
    const char *type;       /* with modifier; the same text at both ends when it is the same type */
    const char *full_type;  /* the same, as it can be cast to at this end */
    const char *definition; /* with what ADD COLUMN says of it; "..." for an expression */
    const char *cast;       /* what it is read as: NULL for itself */
    const char *output;     /* the function that makes text of it, NULL: a cast will do */
    const char *input;      /* the function that makes it of text, NULL: a cast will do */
    const char *input_more; /* that function's further arguments */
    const char *array;      /* type of an array of values as read, for unnest */
    Oid element_oid;        /* of a value as read */
    Oid array_oid;
    const char *copy_cast; /* what it is copied as where text is copied, NULL: as itself */
    const char *equals;    /* the operator that finds equal keys */
    bool copy_binary;      /* its binary form means the same at both ends */
    bool is_bitwise;       /* equal values have equal bytes */
    bool not_null;
    bool needs_value; /* a row cannot be inserted without one */
    bool is_generated;
    bool is_identity_always;
};

struct relation {
    Oid oid;
    const char *schema;
    const char *name;
    const char *label; /* schema.name, quoted where needed: for people */
    char kind;         /* as pg_class.relkind: 'r' or 'p' */
    bool only;         /* read without its children */
    bool has_rules;
    const char *acts_on_arrivals; /* triggers and rules, for rows from the other end; NULL: none */
    bool is_referenced;           /* foreign keys point to it */
    bool has_actions; /* and some do more than refuse the end of a row, or refuse it at once */
    int reference_count;
    Oid *references; /* tables that its foreign keys point to */
    int master_count;
    Oid *masters;          /* those whose rows act on rows here, not by their key */
    bool has_side_cascade; /* rows elsewhere go with rows here, and others with those, by no key */
    int64_t bytes;         /* of the table without indexes, an estimate */
    int64_t rows;          /* likewise */
    const char *layout;    /* where its values are kept, for layout.h */
    const char *foreign_part; /* a partition that is a foreign table, for people; NULL: none */
    const char *shape;        /* all that matters of its definition, as text */
    Oid key_index;            /* 0: rows cannot be told apart */
    bool key_immediate;
    int key_count;
    const char **key; /* column names in the index's order */
    int column_count; /* that travel: all but the generated ones */
    int all_count;    /* the generated ones come last */
    struct column *columns;
    /* Of the source's, what the configuration makes of it (shaping.h). */
    const char *target_schema; /* its name at the target */
    const char *target_name;
    const char *target_label; /* for people */
    int left_out_count;       /* columns that are not taken: after the others */
    const char *where;        /* the rows that are taken, as an SQL expression; NULL: all */
    const char *trouble;      /* why that cannot be, and what to do; NULL: it can */
    const char *trouble_hint;
};

struct catalog {
    struct arena *arena;
    const char *foreign_keys; /* changes with every foreign key; empty without relations */
    int count;
    struct relation *relations; /* sorted by schema, then name, bytewise */
};

/* Makes a catalog from the rows of sql/catalog_relations.sql. NULL and the error when a row cannot
 * be understood. */
struct catalog *catalog_new(const PGresult *r, struct error *e);
void catalog_free(struct catalog *c);
/* The relation of that name, or of that oid; NULL when there is none. */
const struct relation *catalog_find(const struct catalog *c, const char *schema, const char *name);
const struct relation *catalog_find_oid(const struct catalog *c, Oid oid);
/* The relation at the target that belongs to one of the source; NULL when there is none, or no `r`.
 */
const struct relation *catalog_find_mate(const struct catalog *target, const struct relation *r);
/* schema.name as a person would write it in SQL. Lives in `a`. */
const char *catalog_label(struct arena *a, const char *schema, const char *name);
/* The column of that name, or NULL. */
const struct column *relation_column(const struct relation *r, const char *name);
/* Does the table have the column, and the configuration not take it? */
bool relation_leaves_out(const struct relation *r, const char *column);
/* Is the column part of the key? */
bool relation_is_key(const struct relation *r, const char *column);

/* Both ends' catalogs of one reading, alive while a table points into them. */
struct catalog_pair {
    int references;
    struct catalog *source;
    struct catalog *target;
};

struct catalog_pair *catalog_pair_new(struct catalog *source, struct catalog *target);
/* One reference less: the last one frees both. NULL is allowed. */
void catalog_pair_release(struct catalog_pair *p);

#endif
