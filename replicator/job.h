/* A job: something that takes many statements and may fail at each, as a table of steps.
 *
 * A job has up to two connections of its own. It starts at its first step when they are open, goes
 * from step to step, and is done after the last. Whatever fails - a statement, a connection, a
 * deadline - goes through job_fail(): logged once, connections closed, and after a back-off the job
 * starts again at its first step. Steps are written so that this is safe, because progress commits
 * in the database together with the data. */
#ifndef JOB_H
#define JOB_H

#include <ev.h>
#include <stdbool.h>

#include "conn.h"
#include "list.h"
#include "mem.h"

struct job;
struct sync;

enum job_side { JOB_SOURCE, JOB_TARGET, JOB_SIDES };

/* What a step's functions answer. */
enum job_next {
    JOB_NEXT,   /* this step is over: the next one in the table */
    JOB_REPEAT, /* this step again */
    JOB_GOTO,   /* the step that job_goto() named */
    JOB_WAIT,   /* stay: an event, a timer or another job will call job_continue() */
    JOB_DONE,   /* the job is over */
    JOB_FAILED  /* job_fail() was called */
};

struct job_step {
    const char *name; /* the log word, the status and the metric label */
    /* The statement, and the side it runs on; NULL when `enter` does it all. */
    const struct sql *sql;
    enum job_side side;
    /* Fills the parameters; may be NULL. */
    void (*bind)(struct job *j, struct params *p);
    /* Gets each result of the statement that is no error; the answer to the last one counts. NULL:
     * JOB_NEXT. */
    enum job_next (*result)(struct job *j, PGresult *r);
    /* Instead of a statement: does something and answers. May send statements itself and answer
     * JOB_WAIT; what comes goes to `event`, or, when that is NULL, to `result` as for a statement.
     */
    enum job_next (*enter)(struct job *j);
    /* Gets every event of both connections while this step is on, when not NULL. */
    enum job_next (*event)(struct job *j, enum job_side side, const struct conn_message *m);
    double timeout_s; /* for the statement; 0: the default of 60 s; negative: none */
};

struct job_type {
    const char *name;
    bool uses[JOB_SIDES]; /* which connections it needs */
    bool knows_pooler;    /* has made sure that a pooler in between keeps its sessions apart */
    const struct job_step *steps; /* ended by a row without a name */
    /* Before the first step of every run: forget what the last one left. May be NULL. */
    void (*begin)(struct job *j);
    /* A failure has been logged and the connections are closed. Answers whether to try again after
     * the back-off; false ends the job (then `ended` is called). NULL: always again. */
    bool (*failed)(struct job *j, const struct error *e);
    /* A notification on one of the connections. May be NULL. */
    void (*notified)(struct job *j, enum job_side side, const char *channel, const char *payload);
    /* The job is over: finished is false when it gave up or was stopped. May free the job's owner.
     */
    void (*ended)(struct job *j, bool finished);
};

struct job {
    struct list in_sync; /* link in sync->jobs */
    const struct job_type *type;
    struct sync *sync; /* may be NULL for a command's job */
    const char *name;  /* for logs: the type's name or more */
    struct ev_loop *loop;
    struct conn conns[JOB_SIDES];
    const struct config_database *databases[JOB_SIDES]; /* borrowed; where each connects to */
    const struct job_step *step;                        /* NULL: not running */
    const struct job_step *next;                        /* set by job_goto() */
    struct arena *arena;                                /* freed at the end of each run */
    struct params params;                               /* for the statement being sent */
    struct ev_timer timer;                              /* back-off, and job_sleep() */
    struct error error;                                 /* the last failure */
    int failures;                                       /* in a row */
    double started_at;                                  /* steady_now of this run */
    double backoff_max_s;                               /* 0: the default of 1 s */
    bool is_running;
    bool is_connecting;
    bool is_set_up[JOB_SIDES]; /* connected, and the session's settings are ours */
    bool is_stopping;          /* the next failure is the last */
    int ending;                /* `ended` is due, and how */
    enum job_next answer;      /* what the step answers when its statement ends */
    bool has_later;            /* the timer goes on with `later` */
    enum job_next later;
};

/* The loop of this process, the same one each time: only libev's default loop hears of ended
 * children, which a password command is. Aborts when there is none. */
struct ev_loop *job_loop(void);
/* Prepares a job; starts nothing. `loop` and the databases must outlive it. */
void job_init(struct job *j, struct ev_loop *loop, const struct job_type *type, struct sync *sync,
              const struct config_database *source, const struct config_database *target);
/* Connects and begins at the first step. */
void job_start(struct job *j);
/* Ends it now without calling `ended`: closes connections and timers; may be started again. */
void job_stop(struct job *j);
/* Stops it and frees what it owns (not the struct itself). */
void job_fini(struct job *j);
bool job_is_running(const struct job *j);
/* It has failed and has not begun again: it waits, or tries to connect. */
bool job_is_failing(const struct job *j);
/* The job stands at the step of that name now. */
bool job_is_at(const struct job *j, const char *step);

/* Names the step to go to; `return job_goto(j, "name")`. An unknown name is a bug and aborts. */
enum job_next job_goto(struct job *j, const char *step);
/* For a step that answered JOB_WAIT: goes on as if it had answered `next` now. */
void job_continue(struct job *j, enum job_next next);
/* Answers JOB_WAIT, and goes on with `next` after that time. */
enum job_next job_sleep(struct job *j, double seconds, enum job_next next);
/* The one failure path; always answers JOB_FAILED. */
enum job_next job_fail(struct job *j, const struct error *e);
/* The same from a result in error. */
enum job_next job_fail_result(struct job *j, enum job_side side, const PGresult *r);
/* A result says that its statement failed. */
bool job_result_failed(const PGresult *r);

static inline struct conn *job_conn(struct job *j, enum job_side side)
{
    return &j->conns[side];
}

#endif
