/* Syncs that together make a ring: which of them can end well. */
#ifndef CONFIG_RING_H
#define CONFIG_RING_H

#include <stdbool.h>

#include "config.h"

/* False and the error when syncs of all tables lead from a database back to it, and are not all
 * two-way with the policy `latest`. Syncs of chosen tables are not looked at: they may be of
 * different ones. Every sync has its databases. */
bool config_ring_check(const struct config *c, struct error *e);

#endif
