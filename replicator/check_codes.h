/* The table of checks: every code that `rebeco check` may print, how grave it is, what it means and
 * what to do. Codes are part of the interface: scripts depend on them, they are never renamed. */
#ifndef CHECK_CODES_H
#define CHECK_CODES_H

enum check_severity {
    CHECK_BLOCKER, /* replication cannot work, or would do harm, until this is mended */
    CHECK_WARNING, /* it works, but somebody must decide whether it is good enough */
    CHECK_NOTE,    /* worth knowing */
    CHECK_SEVERITIES
};

struct check_code {
    const char *code;
    enum check_severity severity;
    const char *means;
    const char *remedy;
};

/* In the order in which they are printed, ended by a row without a code. */
extern const struct check_code check_codes[];

/* The row of a code; NULL when there is none. */
const struct check_code *check_code_find(const char *code);
/* "blocker", "warning" or "note". */
const char *check_severity_name(enum check_severity s);

#endif
