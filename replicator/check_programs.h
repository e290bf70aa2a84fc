/* Is there a pg_dump that fits the two servers? Asks every one that is installed for its version,
 * one after the other, as a child process on the loop. */
#ifndef CHECK_PROGRAMS_H
#define CHECK_PROGRAMS_H

#include <ev.h>
#include <stdbool.h>

#include "child.h"
#include "mem.h"
#include "schema_tool.h"

struct check_programs;
/* All of them have answered. Called from the loop, or from inside check_programs_start() when there
 * is none at all. */
typedef void check_programs_handler(struct check_programs *p);

struct check_programs {
    struct child child;
    struct schema_tools tools; /* lives in the arena given */
    int asked;                 /* of the tools */
    check_programs_handler *done;
    void *owner; /* the handler's */
};

/* Starts asking on the default loop. `a` must outlive it. */
void check_programs_start(struct check_programs *p, struct ev_loop *loop, struct arena *a,
                          check_programs_handler *done, void *owner);
void check_programs_fini(struct check_programs *p);

#endif
