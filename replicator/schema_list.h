/* The table of contents of a pg_dump archive, and what pg_restore said while restoring it. Pure:
 * text in, text out; no connection, no process.
 *
 * An entry is known by its dump id, and its object by catalog and oid at the source. Names are only
 * for people: `pg_restore --list` does not quote them, so nothing is decided by reading one. */
#ifndef SCHEMA_LIST_H
#define SCHEMA_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "error.h"
#include "mem.h"

/* What is done with the entries of a type. */
enum schema_treatment {
    SCHEMA_CREATE, /* an object: created unless the target has it */
    SCHEMA_REPEAT, /* completes an object; may be run again, and is, every time */
    SCHEMA_REMARK, /* the same, but a failure leaves nothing missing that works: only logged */
    SCHEMA_ATTACH, /* a partition to its parent: like an object */
    SCHEMA_SELF,   /* an extension: created by us and not by pg_restore */
    SCHEMA_LEAVE,  /* not copied, and nobody misses it */
    SCHEMA_NOTE    /* not copied, and people are told */
};

struct schema_type {
    const char *name;   /* as pg_dump writes it */
    unsigned class_oid; /* the catalog of such objects; 0: none; SCHEMA_ANY: whatever */
    enum schema_treatment treatment;
};

#define SCHEMA_ANY (~0U)

struct schema_entry {
    int id;
    unsigned class_oid; /* pg_class of the source, for example; 0: no object of its own */
    unsigned oid;
    const struct schema_type *type; /* NULL: a type that we do not know */
    const char *label;              /* the rest of the line: type, schema, name, owner */
    const int *needs;               /* dump ids it depends on */
    int needs_count;
    const char *object; /* for people, e.g. "INDEX shop.orders_at_idx"; NULL: not known yet */
    bool is_known;      /* the source told how to find the object at the target */
    bool is_elsewhere;  /* in another section of the archive: not now */
    bool is_left_out;
    bool is_there;   /* at the target, whoever created it */
    bool is_renamed; /* there under another name */
    bool is_failed;  /* it is missing although we tried */
    char *message;   /* why, in the server's words; NULL: it said nothing */
};

struct schema_list {
    struct arena *arena; /* owns entries' texts */
    struct schema_entry *entries;
    int count;
    int size;
    int *by_id; /* index + 1 into entries */
    int by_id_size;
};

/* What pg_restore said that belongs to no entry. */
struct schema_report {
    struct buf general; /* error texts, one a line */
    int ignored;        /* errors it counted and went on after; -1: it did not get to its end */
    bool is_lost;       /* the connection broke: what failed says nothing about the objects */
};

void schema_list_init(struct schema_list *l);
void schema_list_fini(struct schema_list *l);
/* Reads the output of `pg_restore --list --verbose`, which holds all entries and what each needs;
 * what was in the list is forgotten. False and the error when a line is none that pg_restore
 * writes.
 */
bool schema_list_parse(struct schema_list *l, const char *text, size_t len, struct error *e);
/* Reads the output of `pg_restore --list --section=..`: entries that are not in it are elsewhere.
 */
void schema_list_parse_section(struct schema_list *l, const char *text, size_t len);
/* The entry with that dump id; NULL when there is none. */
struct schema_entry *schema_list_find(const struct schema_list *l, int id);
/* The type's treatment; of an unknown type, what is safe. */
enum schema_treatment schema_entry_treatment(const struct schema_entry *e);
/* For people: `object` when known, else the label. */
const char *schema_entry_name(const struct schema_entry *e);
/* Leaves out what the types say and what belongs to something left out, and takes the attaching of
 * an index that is there under another name as done. Call when is_left_out of objects that are ours
 * and is_there are set; may be called again. */
void schema_list_decide(struct schema_list *l);
/* The entry is to be restored now. */
bool schema_entry_is_wanted(const struct schema_entry *e);
/* A foreign key, or what completes one. */
bool schema_entry_is_foreign_key(const struct schema_list *l, const struct schema_entry *e);
/* Writes the wanted entries, with or without those of foreign keys, as a list for `pg_restore
 * --use-list`; returns how many. */
int schema_list_print(const struct schema_list *l, bool with_foreign_keys, struct buf *out);
/* It failed because of somebody's lock, by the server's words (in English; others are not known).
 */
bool schema_entry_failed_for_lock(const struct schema_entry *e);
/* Reads what `pg_restore --verbose` (one process, LC_MESSAGES=C) wrote on standard error: sets the
 * messages of entries that failed, and fills the report, which must be initialised. */
void schema_list_parse_errors(struct schema_list *l, const char *text, struct schema_report *r);
/* Marks as failed what was wanted and is not there now (is_there is fresh), and what said so where
 * there is no object to look for. Returns how many. */
int schema_list_judge(struct schema_list *l);

#endif
