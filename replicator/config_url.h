/* The URL (or conninfo string) of a database, as libpq understands it. */
#ifndef CONFIG_URL_H
#define CONFIG_URL_H

#include <stdbool.h>

#include "buf.h"
#include "error.h"

/* Whether libpq takes it; nobody is contacted. False and the error, which shows nothing of the
 * text, when not; `path` names the option in it. */
bool config_url_check(const char *url, const char *path, const char *type, struct error *e);
/* Appends it as a conninfo string in double quotes, secrets replaced by ***. */
void config_url_print(struct buf *b, const char *url);

#endif
