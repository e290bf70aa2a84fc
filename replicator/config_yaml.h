/* Reading a configuration file: YAML, by the table of options. */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include <stddef.h>

#include "config.h"

/* Fills `c` from the text of a file; `name` is what errors call it. The structs that it makes have
 * their defaults first. False and the error, with file:line:column, at the first mistake. */
bool config_yaml_load(struct config *c, const char *text, size_t len, const char *name,
                      struct error *e);
/* A new database or sync with its defaults, at the end of the configuration's list. */
struct config_database *config_yaml_add_database(struct config *c, const char *name);
struct config_sync *config_yaml_add_sync(struct config *c);

#endif
