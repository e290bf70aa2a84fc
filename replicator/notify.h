/* What systemd is told (sd_notify): that the daemon is ready, how it stands, and that its loop
 * turns. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <ev.h>

struct daemon;

struct notify {
    struct daemon *daemon;
    int fd; /* -1: nobody listens */
    struct ev_timer watchdog;
    char said[256]; /* the status of last time */
};

/* Takes NOTIFY_SOCKET and WATCHDOG_USEC from the environment, so that children do not see them. */
void notify_init(struct notify *n, struct daemon *d);
void notify_fini(struct notify *n);
/* The loop is about to run. */
void notify_ready(struct notify *n);
/* Something may have changed that is worth a word. */
void notify_look(struct notify *n);
void notify_stopping(struct notify *n);

#endif
