/* Rows that the target refuses: the one that was found to be refused, and those that a person had
 * left out. A row is known again by hashes of its key and of all its values, in the form in which
 * batches read them: it is left out as long as it looks the same, and tried again when it does not.
 * Where there is no key, rows that look alike are one entry, and counted: skip.c says why the
 * counts stay right.
 *
 * A table with rows left out goes on, but the target is not one state of the source meanwhile. */
#ifndef SKIP_H
#define SKIP_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

struct batch_job;
struct sync;
struct table;

enum {
    SKIP_HASH_SIZE = 33,
    SKIP_SHORT_HASH = 12 /* digits by which a person names a row without a key */
};

/* A row that is left out. */
struct skip {
    char key_hash[SKIP_HASH_SIZE];
    char row_hash[SKIP_HASH_SIZE];
    char *key;   /* a JSON array of texts (malloc, as the others); of a short hash without one */
    char *error; /* the server's words */
    char *at;    /* when it was left out */
    bool is_settled; /* by the batch in hand: it has changed */
    /* Without a key: how many such rows the source has more than the target, and how many more
     * than that with what is being read. */
    int64_t copies;
    int64_t pending;
    bool is_touched; /* by what is being read, whatever `pending` is now */
    bool is_void;    /* it is at the target by now: forgotten when no batch is in hand */
    bool is_nothing; /* a removal of what cannot be there: not shown, and settled by any batch */
};

/* The row that keeps a table standing. */
struct poison {
    char key_hash[SKIP_HASH_SIZE];
    char row_hash[SKIP_HASH_SIZE];
    char *key;   /* as above */
    char *row;   /* a JSON object of texts, long ones cut */
    char *image; /* without a key: a JSON array of all values' texts, as hexadecimal UTF-8; NULL:
                    it is too long to be kept */
    char *error;
    char sqlstate[6];
    bool is_delete;
};

/* Hashes of a row as sql/read_statements.sql gives it. */
void skip_hash(const struct table *t, const PGresult *r, char *key_hash, char *row_hash);
/* Is this row left out? Asked for every row of a table that has such. In a batch (`settles`) one
 * that has changed is noted, to be settled with it. */
bool skip_row(struct table *t, const PGresult *r, bool settles);
/* The table is emptied, and with it what is left out. To be said before its rows are read. */
void skip_cleared(struct table *t);
/* Forgets what was read: of the batch in hand, or of a search. */
void skip_begin(struct sync *s);
void skip_begin_table(struct table *t);
/* Takes over what the batch has settled, after its commit. */
void skip_settled(struct table *t);
/* Writes what the batch settles, in its transaction at the target. */
void skip_send_settled(struct batch_job *b);

/* Takes the rows of sql/skips_list.sql. */
void skip_take_list(struct sync *s, const PGresult *r);
/* The row that the table stands still for is left out from here on. */
void skip_add(struct table *t);
/* The removal of a row whose key the target cannot even hold: there is nothing to remove. */
void skip_add_nothing(struct table *t, const struct poison *p);
/* Takes the rows of sql/skip_retry.sql; gives how many were left out, and how many of them are
 * refused again. */
int skip_take_retried(struct table *t, const PGresult *r, int *refused);
/* Forgets all of a table's: it is copied again, or gone. */
void skip_clear(struct table *t);
/* Sets the refused row, NULL for none; takes it over. */
void skip_set_poison(struct table *t, struct poison *p);
void skip_poison_free(struct poison *p);
/* How many rows of all tables are left out; and how many will be after the commit of the batch in
 * hand. */
int skip_count(const struct sync *s);
int skip_count_of(const struct table *t);
int skip_count_left(const struct sync *s);
/* The target shows one committed state of the source, and no row is left out. */
bool skip_is_exact(const struct sync *s);
/* How long a table in error rests before it is tried again. */
double skip_retry_s(const struct table *t);
/* For status: those of a table, and the refused row (NULL for none). */
json_t *skip_tree(const struct table *t);
json_t *skip_poison_tree(const struct table *t);
/* A copy of JSON in which what is no UTF-8 is written as \\xNN (malloc), and so is all that is not
 * ASCII unless `takes_utf8`: the target must be able to keep it. */
char *skip_clean_text(const char *text, bool takes_utf8);

#endif
