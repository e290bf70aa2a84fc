/* `pause`, `resume`, `kick`, `resync`, `direction` and others: asking a running daemon, through
 * rows at the target. */
#ifndef REQUEST_H
#define REQUEST_H

#include "command.h"

/* For the table of commands: sends a request named like the command, for the tables that the
 * operands name or for the whole sync, and waits for the daemon's answer. */
int request_run(struct command_context *x);
/* Reads --timeout, in seconds, into *seconds, which holds the default. False and the error when it
 * is no duration. */
bool request_timeout(const struct command_context *x, double *seconds, struct error *e);

#endif
