/* `rebeco check`: looks at both ends and tells what stands in the way of a sync, before anything is
 * touched. It changes nothing, waits for no lock, and holds no transaction longer than one
 * statement. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>

#include "config.h"

/* Checks the sync and prints what was found on standard output, as text or as JSON. Answers the
 * exit code: 0, 3 when there are blockers, 1 when an end could not be reached or asked, 2 when a
 * pattern of the configuration matches no table; 1 and 2 after saying why on standard error. */
int check_run(struct config *c, struct config_sync *s, bool json);
/* Prints the table of all codes with severity, meaning and remedy on standard output. */
void check_print_codes(void);

#endif
