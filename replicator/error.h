/* What went wrong, for a person: what failed, the detail, what to do, and where.
 *
 * A function that can fail by somebody's mistake or by the world returns bool and fills a struct
 * error that the caller owns. The first cause wins: error_set() on an error that is already set
 * changes nothing. */
#ifndef ERROR_H
#define ERROR_H

#include <stdbool.h>

struct error {
    char what[512];    /* one sentence: what failed; empty when there is no error */
    char detail[1024]; /* the server's or the system's own words; may be empty */
    char hint[512];    /* what to do; may be empty */
    char place[256];   /* file:line:column, or the object; may be empty */
    char sqlstate[6];  /* from a server, else empty */
    bool is_open;      /* the last error_set() took effect: detail, hint and place belong to it */
};

/* Empties the error. */
void error_clear(struct error *e);
bool error_is_set(const struct error *e);
/* Sets what failed (printf), unless something is set already. Always returns false, so that a
 * function can `return error_set(...)`. */
bool error_set(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Add the detail, the hint, the place (printf) to what error_set() set just before; they change
 * nothing when it changed nothing. */
void error_detail(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_hint(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_place(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the error on standard error as a person reads it: "rebeco: what", then indented lines for
 * place, detail, SQLSTATE and hint. */
void error_print(const struct error *e);

#endif
