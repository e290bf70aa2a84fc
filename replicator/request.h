/* `pause`, `resume`, `kick` and `resync`: asking a running daemon, through rows at the target. */
#ifndef REQUEST_H
#define REQUEST_H

#include "command.h"

/* For the table of commands: sends a request named like the command, for the tables that the
 * operands name or for the whole sync, and waits for the daemon's answer. */
int request_run(struct command_context *x);

#endif
