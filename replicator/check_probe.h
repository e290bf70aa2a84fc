/* Is there a real server session at the other end of each connection? Opens several connections to
 * one end at the same time, asks each of them several times who answers, and reports a pooler or a
 * balancer in between. It sets nothing in a session: under a pooler that session is somebody
 * else's a moment later. */
#ifndef CHECK_PROBE_H
#define CHECK_PROBE_H

#include <ev.h>
#include <stdbool.h>

#include "check_report.h"
#include "conn.h"
#include "error.h"

enum { CHECK_PROBE_CONNECTIONS = 3, CHECK_PROBE_ROUNDS = 3 };

struct check_probe_connection {
    struct conn conn;
    struct check_probe *probe;
    int pids[CHECK_PROBE_ROUNDS]; /* the session that answered, by its own word */
    int announced_pid;            /* the one that was announced when connecting */
    char server[96];              /* which server answered last */
};

struct check_probe {
    struct check_report *report;
    enum job_side side;
    struct ev_loop *loop;
    struct check_probe_connection connections[CHECK_PROBE_CONNECTIONS];
    int round;
    int waiting;      /* connections that have not answered in this round */
    double timeout_s; /* how long an answer may take */
    bool is_failed;
    bool differs; /* different servers answered */
    struct error error;
};

/* Runs the loop until everything is asked. False and the error when the end cannot be reached. */
bool check_probe_run(struct check_probe *p, struct ev_loop *loop, struct check_report *report,
                     enum job_side side, const struct config_database *d, double network_timeout_s,
                     struct error *e);

#endif
