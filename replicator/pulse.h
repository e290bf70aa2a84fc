/* The pulse of a daemon that leads a sync: a session at the target that says something every second
 * or two. Others see by it that the one who holds the lock lives. It also notes who keeps a batch
 * waiting there (sync->batch_held_by). */
#ifndef PULSE_H
#define PULSE_H

#include "job.h"

struct sync;

struct pulse {
    struct job job;
};

void pulse_init(struct pulse *p, struct sync *s);
/* From when the lock is held; may be called again. */
void pulse_start(struct pulse *p);
void pulse_stop(struct pulse *p);
void pulse_fini(struct pulse *p);

#endif
