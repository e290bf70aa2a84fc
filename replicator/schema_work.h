/* What the files of the schema copy share: schema.c (life, processes, pg_restore),
 * schema_prepare.c and schema_decide.c (the first job), schema_record.c (the last). Nobody else
 * includes this. */
#ifndef SCHEMA_WORK_H
#define SCHEMA_WORK_H

#include <jansson.h>

#include "buf.h"
#include "child.h"
#include "login.h"
#include "schema.h"
#include "schema_list.h"
#include "schema_tool.h"

/* How pg_restore runs, in this order. */
enum schema_pass {
    SCHEMA_PARALLEL,     /* all but foreign keys; batches go on */
    SCHEMA_FOREIGN_KEYS, /* in parallel, too; no batch */
    SCHEMA_ALONE         /* what failed, as one process: its words can be told apart; no batch */
};

/* What pg_dump wrote for SCHEMA_PRE, which has all of the schema, kept for SCHEMA_POST. */
struct schema_dump {
    int archive;            /* memfd; -1: none */
    struct buf exclude;     /* as schema_copy->exclude was */
    struct ev_timer forget; /* closes it when it is too old to be used */
};

struct schema_copy {
    struct sync *sync;
    struct ev_loop *loop;
    schema_handler *done;
    schema_handler *on_trouble;   /* may be NULL */
    struct ev_timer tell_trouble; /* calls it, outside of the job that failed */
    void *owner;
    enum schema_stage stage;
    struct job prepare;
    struct job restore;
    struct job record;
    struct job *running; /* one of the three; NULL: none */
    struct child child;
    enum job_next (*child_ended)(struct schema_copy *s);
    const char *child_name; /* "" when none runs */
    struct login login;     /* of the program that is about to run */
    enum job_side login_side;
    struct schema_login logins[JOB_SIDES];
    struct arena *arena;        /* of a stage */
    const char *target_options; /* of pg_restore's sessions, over the URL's; "": none */
    struct schema_tools tools;
    const struct schema_tool *tool;
    int tool_asked; /* how many of the tools said their version */
    struct schema_list list;
    struct buf exclude;    /* patterns of tables that are not the sync's, each ended by '\0' */
    json_t *tables;        /* [[schema, name], ...] of the sync's tables */
    struct buf documents;  /* json: how the target can look for what the archive holds */
    struct buf statements; /* json: what it is to run */
    int archive;           /* memfd; -1: none */
    double read_at;        /* steady_now when pg_dump was started for it */
    struct schema_dump earlier;
    int use_list;
    int todo;        /* entries that pg_restore was told */
    size_t scanned;  /* bytes of its output in which finished ones were counted */
    int counted;     /* ... and how many there were */
    bool is_ours;    /* the schema is copied by us */
    bool is_decided; /* ... as an earlier run found out */
    enum schema_pass pass;
    int lock_tries;     /* passes that were repeated because of somebody's lock */
    bool is_again;      /* another pass is due */
    bool is_early;      /* it is to wait at SCHEMA_HOLD */
    bool holds_batches; /* no round of a batch may begin */
    bool then_post;     /* the first stage had not ended: it runs, then the second */
    int recorded;       /* entries before this one are in rebeco.problem */
    int missing;        /* at the target, of all stages */
    struct error trouble;
    bool needs_person;
};

/* The step of the first job at which an early one waits. */
#define SCHEMA_HOLD "hold"
/* The first job: ends with the archive, and the list that says what the target lacks. */
extern const struct job_type schema_prepare_type;

/* Steps of the first job and of pg_restore's, and the handler of s->login; in schema_login.c. */
enum job_next schema_enter_source_login(struct job *j);
enum job_next schema_enter_target_login(struct job *j);
void schema_login_ended(struct login *l);
/* Functions of its first steps; in schema_decide.c. */
enum job_next schema_decide_looked(struct job *j, PGresult *r);
enum job_next schema_decide_listed(struct job *j, PGresult *r);
void schema_decide_bind(struct job *j, struct params *p);
enum job_next schema_decide(struct job *j, PGresult *r);
/* The archive of the stage before will do for this one: true, and it is taken. In schema.c. */
bool schema_take_earlier(struct schema_copy *s);
/* That job has ended; in schema.c. */
void schema_prepared(struct job *j, bool finished);
/* The last job; in schema_record.c. */
extern const struct job_type schema_record_type;

/* Makes it the running job. */
void schema_start_job(struct schema_copy *s, struct job *j);
/* The stage is over. */
void schema_finish(struct schema_copy *s);
/* What each job's `failed` does; answers true. */
bool schema_failed(struct schema_copy *s, const struct error *e);

/* Runs a program for the running job, which waits; `ended` answers how the job goes on. The
 * program's environment may be NULL. */
enum job_next schema_run(struct schema_copy *s, const char *name, struct child_program *p,
                         enum job_next (*ended)(struct schema_copy *s));
/* Ends the program, if one runs. */
void schema_run_stop(struct schema_copy *s);
/* Puts a new empty file in memory into *fd. */
bool schema_memory(int *fd, struct error *e);
/* "pre" or "post". */
const char *schema_stage_name(const struct schema_copy *s);
/* Takes the target's answer about what is there into the list. */
void schema_take_states(struct schema_copy *s, const PGresult *r);
/* A failure that no retry mends: somebody has to do something. */
enum job_next schema_fail_for_person(struct schema_copy *s, const struct error *e);

#endif
