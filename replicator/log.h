/* The log: one line per event on standard error, key=value or JSON.
 *
 * The settings are the program's only globals. Lines never hold passwords: callers pass names and
 * server words, never connection strings. The same event with the same fields is written three
 * times within a minute and then counted ("repeated=17", once a minute), so that an outage does not
 * fill a disk. */
#ifndef LOG_H
#define LOG_H

#include <stdint.h>

#include "error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Sets format and lowest level written; before the first call: text, info. */
void log_setup(enum log_format format, enum log_level level);
/* Writes what nobody took before, and the counts whose minute has passed. Every event does, too; to
 * be called now and then, so that they come when nothing else happens. */
void log_settle(void);
/* Writes all counts and remembers nothing: the program ends. */
void log_forget(void);
/* Writes one event: a few words, then pairs of key and value strings, ended by NULL. A pair whose
 * value is NULL is left out. Usual keys: sync, table, phase. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
/* The same for an error: adds what, detail, hint, place and sqlstate as far as they are set. */
void log_error(enum log_level level, const char *event, const struct error *e, ...)
    __attribute__((sentinel));
/* A number as text for log_event; one of a few static places, good until the eighth call after. */
const char *log_int(int64_t n);
const char *log_seconds(double s);

#endif
