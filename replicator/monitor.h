/* `status`: what a daemon last said of itself, for people or as JSON. */
#ifndef MONITOR_H
#define MONITOR_H

#include <jansson.h>

#include "buf.h"
#include "command.h"

/* For the table of commands. */
int monitor_run(struct command_context *x);

/* Appends the status tree as a person reads it; keys that are missing are passed over. */
void monitor_show(struct buf *out, const json_t *status);
/* Appends text that may come from a database: a line break becomes a space, as in a
 * server's message of two lines, and other control characters question marks. */
void monitor_add_clean(struct buf *b, const char *s);

#endif
