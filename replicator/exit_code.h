/* What the program's exit codes mean. People and orchestrators depend on them. */
#ifndef EXIT_CODE_H
#define EXIT_CODE_H

enum exit_code {
    EXIT_DONE = 0,        /* done; for `run`: asked to stop, or with --until: that is reached */
    EXIT_FAILED = 1,      /* failed; the message says what, and what to do */
    EXIT_USAGE = 2,       /* usage or configuration */
    EXIT_DIFFERENCES = 3, /* `check` found blockers */
    EXIT_PERSON = 4,      /* cannot go on without a person, and --until was asked */
    EXIT_HELD = 5         /* another instance holds this sync */
};

#endif
