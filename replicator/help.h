/* What the program says of itself, printed from the tables of commands and options. */
#ifndef HELP_H
#define HELP_H

#include <stdio.h>

#include "command.h"

/* One screen: the commands and the global options. */
void help_overview(FILE *to);
/* One command with its options. */
void help_command(FILE *to, const struct command *c);
/* The manual page, in roff. */
void help_man(FILE *to);
/* The completion of the command line for bash. */
void help_bash(FILE *to);

#endif
