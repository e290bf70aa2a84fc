/* `ddl FILE`: runs a migration at both ends. */
#ifndef DDL_H
#define DDL_H

#include "command.h"

int ddl_run(struct command_context *x);

#endif
