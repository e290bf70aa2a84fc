/* `uninstall`: removes every object of ours from one or both ends, also when our own state there is
 * lost. */
#ifndef UNINSTALL_H
#define UNINSTALL_H

#include <libpq-fe.h>

#include "command.h"

/* For the table of commands. Both ends are looked at before anything is removed: whatever refuses
 * leaves them as they are. Then the source comes first: what the target knows is needed for it, and
 * is still there when the command is repeated after a failure. A source that is cleaned in part
 * looks to a daemon as if the captures had been lost, and it would empty the target's tables to
 * copy them again - after a cutover, those that the application writes. So the target is marked
 * before, and a daemon leaves such a sync alone (lead_take_sync()). */
int uninstall_run(struct command_context *x);

/* What an end has of the other one's changes, as it says itself: sql/uninstall_consumer.sql. */
struct uninstall_position {
    char *all; /* malloc; NULL: not known */
    char *own; /* of tables that are out of step; NULL: there are none */
};

/* Takes it from the first row of that statement's result. */
void uninstall_take_position(struct uninstall_position *p, const PGresult *r);

/* One end of an uninstallation, see uninstall_end.c. */
struct uninstall_wish {
    const struct command_context *x;
    const char *consumer; /* the sync's name as a reader at the source; NULL: not known */
    bool keeps_source;    /* what the source changes is kept there: that direction is closed */
    bool keeps_target;    /* and the other one */
    struct uninstall_position *at_target;
    struct uninstall_position
        *at_source; /* of a two-way sync; known once the source was looked at */
};

/* What is done at an end: what it keeps for the other one is counted; all that may refuse is looked
 * at, too; it is cleaned. */
enum uninstall_step { UNINSTALL_COUNTS, UNINSTALL_LOOKS, UNINSTALL_CLEANS };

/* Looks at `database`, or cleans it; `side` is "source" or "target". Prints what was left out
 * there and what was not sent from there, or what it did. False when it failed, or something
 * refuses. */
bool uninstall_end(const struct uninstall_wish *w, enum uninstall_step step, const char *side,
                   const struct config_database *database, struct error *e);

#endif
