/* `uninstall`: removes every object of ours from one or both ends, also when our own state there is
 * lost. */
#ifndef UNINSTALL_H
#define UNINSTALL_H

#include "command.h"

/* For the table of commands. The source comes first: what the target knows is needed for it, and is
 * still there when the command is repeated after a failure. */
int uninstall_run(struct command_context *x);

/* One end of an uninstallation, see uninstall_end.c. */
struct uninstall_wish {
    const struct command_context *x;
    const char *consumer; /* the sync's name as a reader at the source; NULL: not known */
    bool keeps_source;    /* what the source changes is kept there: that direction is closed */
};

/* The same in a two-way sync of which one direction is closed: `changes` that were made at that end
 * were not sent, and never could be. False, and says so in `e`, unless --force gives them up. */
bool uninstall_may_give_up(const struct command_context *x, const char *side, const char *changes,
                           struct error *e);

/* Cleans the database at `url`; `side` is "source" or "target". Prints what it did. */
bool uninstall_end(const struct uninstall_wish *w, const char *side,
                   const struct config_database *database, struct error *e);

#endif
