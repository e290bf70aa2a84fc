/* The command line: a table of commands and their options, and what a command gets. `help` and the
 * manual page are printed from the same rows. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "exit_code.h"

struct command;

/* What a command works with; all of it lives until it returns. */
struct command_context {
    const struct command *command;
    struct config_arguments arguments; /* the global options */
    struct config *config;             /* NULL for a command that needs none */
    struct config_sync *sync;          /* the one it is about; NULL for a command that needs none */
    char **operands;                   /* the words after the command */
    int operand_count;
    bool json;
    bool watch;
    bool wait;
    bool force;
    bool codes;
    bool man;
    bool bash;
    bool standby;
    const char *role;  /* NULL when not given */
    const char *until; /* NULL when not given */
    const char *only;
    const char *timeout;
    const char *large_objects;
    const char *table;
    const char *kind;
    const char *since;
};

/* An option that only some commands take. */
struct command_option {
    const char *name;     /* without the dashes */
    const char *argument; /* what follows it; NULL: nothing, and the field is a bool */
    size_t offset;        /* of the field in struct command_context */
    const char *help;
};

/* What a command needs before it runs. */
enum command_needs {
    COMMAND_NOTHING,
    COMMAND_CONFIG, /* the configuration */
    COMMAND_SYNC,   /* the same, and one sync */
    COMMAND_TARGET  /* the same, but the sync's source need not be known */
};

struct command {
    const char *name;
    const char *operands; /* as in the usage line; "" for none */
    int min_operands;
    int max_operands; /* -1: any number */
    enum command_needs needs;
    const struct command_option *options;  /* ended by a row without a name; NULL: none */
    const char *help;                      /* one line */
    const char *text;                      /* some sentences */
    int (*run)(struct command_context *x); /* answers an enum exit_code */
};

/* An option before or after any command; `offset` is into struct config_arguments. */
extern const struct command_option command_globals[];
/* All commands, in the order of the help, ended by a row without a name. */
extern const struct command commands[];

/* The command of that name; NULL when there is none. */
const struct command *command_find(const char *name);
/* Parses the command line and runs the command. Prints what is wrong; answers the exit code. */
int command_main(int argc, char **argv);
/* Prints a usage error on standard error; always EXIT_USAGE. */
int command_usage_error(const struct error *e);

#endif
