/* Patterns for tables: "schema.table" with * and ?; what stands in SQL quotes is meant literally.
 */
#ifndef CONFIG_PATTERN_H
#define CONFIG_PATTERN_H

#include <stdbool.h>

#include "error.h"

/* True when `pattern` is well formed: two parts that are not empty, quotes closed. */
bool config_pattern_check(const char *pattern, struct error *e);
/* True when a well-formed pattern matches the table. Letters match as they are written: nothing is
 * folded to lower case. "?" is one character of UTF-8. */
bool config_pattern_match(const char *pattern, const char *schema, const char *table);

#endif
