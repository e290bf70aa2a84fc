/* Watches how large the change logs are, from the source alone: most of all while the target is
 * away, because then they grow and nothing else would say so. */
#ifndef LOG_WATCH_H
#define LOG_WATCH_H

#include "job.h"

/* What to do about a reader of our name that is not ours. */
#define LOG_WATCH_NAMESAKE                                                                         \
    "Changes are kept for it, too. If its target is gone, or was made anew, at the "               \
    "source: DELETE FROM rebeco.consumer WHERE consumer = '...'. If it lives, give "               \
    "each sync a name of its own."

struct log_watch {
    struct job job;
    char moment[40]; /* when the sizes were read: the snapshot, hashed */
};

/* Prepares it for a sync, which must outlive it; what is seen stands in sync->log_*. */
void log_watch_init(struct log_watch *w, struct sync *s);
/* Starts it, unless it runs. */
void log_watch_start(struct log_watch *w);
void log_watch_fini(struct log_watch *w);

#endif
