/* What an SQLSTATE means for us: one table, asked after every failure. */
#ifndef SQLSTATE_H
#define SQLSTATE_H

#include <stdbool.h>

enum sqlstate_action {
    SQLSTATE_RETRY,     /* the same again soon: deadlock, serialization, lock timeout, cancelled */
    SQLSTATE_RECONNECT, /* the connection or the server is gone: back off, then again */
    SQLSTATE_CONFLICT,  /* the row collides with another: unique or exclusion violation */
    SQLSTATE_DATA,      /* this table's data or definition does not fit: stop the table */
    SQLSTATE_STOP       /* nothing will change without a person: privileges, password, disk full */
};

/* Raised by our own functions: another daemon owns the sync. */
#define SQLSTATE_TAKEN_OVER "RB010"
/* And: somebody else has taken rows away at the target. */
#define SQLSTATE_ROWS_MISSING "RB020"
/* And: another table has the name at the target. */
#define SQLSTATE_OTHER_TABLE "RB030"

/* A lock was not to be had in the time that it may be waited for. */
#define SQLSTATE_LOCKED "55P03"
/* We and somebody else waited for each other, and it was we who had to give way. */
#define SQLSTATE_DEADLOCK "40P01"

/* A statement of one table that fails so is that table's trouble, not everybody's. */
bool sqlstate_is_of_table(enum sqlstate_action action);
/* What the server refuses is a row: its values, or how it stands to others. */
bool sqlstate_is_of_row(const char *sqlstate);
/* A function, a table or a type of that name is not found. */
bool sqlstate_is_of_name(const char *sqlstate);
/* A foreign key is in the way, at either of its ends. */
bool sqlstate_is_foreign_key(const char *sqlstate);
/* Others held a lock: the same may succeed later. */
bool sqlstate_is_of_lock(const char *sqlstate);
/* Two transactions met, and the server, or a function of ours, has had this one rolled back: the
 * same again succeeds as a rule. */
bool sqlstate_is_of_chance(const char *sqlstate);
/* The server has no better word for it (class XX), though what it is about may be one row:
 * extensions say so of values that they refuse. */
bool sqlstate_is_internal(const char *sqlstate);
/* The action for a five-letter SQLSTATE; an empty one (no server spoke) is SQLSTATE_RECONNECT, an
 * unknown one SQLSTATE_DATA. */
enum sqlstate_action sqlstate_action(const char *sqlstate);
/* A short name for the log: "deadlock detected", "disk full"; "" when there is none. */
const char *sqlstate_name(const char *sqlstate);

#endif
