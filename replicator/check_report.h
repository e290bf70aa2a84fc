/* What a check found, gathered and printed. A report lives in one arena. */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include <stdbool.h>

#include "check_codes.h"
#include "job.h"
#include "list.h"
#include "mem.h"

struct check_finding {
    struct list in_report;
    const struct check_code *code;
    enum job_side side;
    const char *object;
    const char *detail;
};

struct check_report {
    struct arena *arena;
    struct list findings;
};

void check_report_init(struct check_report *r);
void check_report_fini(struct check_report *r);
/* Adds one finding; the strings are copied, bytes that are no UTF-8 replaced. An unknown code is a
 * bug and aborts. */
void check_report_add(struct check_report *r, enum job_side side, const char *code,
                      const char *object, const char *detail);
/* True when this code was found at least once, at whatever end. */
bool check_report_has(const struct check_report *r, const char *code);
/* How many different codes of this severity were found, counted per end. */
int check_report_count(const struct check_report *r, enum check_severity s);
/* On standard output. */
void check_report_print_text(const struct check_report *r);
void check_report_print_json(const struct check_report *r, const char *sync);

#endif
