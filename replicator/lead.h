/* The leading job of a sync: holds its lock, installs our objects and the captures, plans the
 * copies and the statements, and then keeps watch: requests, status, log rotation, drift. */
#ifndef LEAD_H
#define LEAD_H

#include "buf.h"
#include "job.h"
#include "partition.h"
#include "sync.h"

/* Who a server is; texts live in the job's arena. */
struct lead_identity {
    const char *system;
    const char *timeline;
    const char *database;
    bool is_standby;
    int64_t next_xid;
    int version;
};

/* A request that waits: `kick` until everything committed before it is at the target, `pause`
 * until nothing that was begun before it is written any more, `resync` until the target knows that
 * the tables are to be copied again, `resume` until it knows that the table goes on. */
enum upkeep_waits { UPKEEP_KICK, UPKEEP_PAUSE, UPKEEP_RESYNC, UPKEEP_RESUME };

struct upkeep_wait {
    struct list in_lead;
    int64_t id;
    enum upkeep_waits what;
    int table_id;         /* pause and resync: of this table; 0: of the sync */
    double asked_at;      /* steady_now */
    uint64_t round;       /* kick: a round of batches begun after this number answers it; pause: */
    uint64_t other_round; /* the gathering after it knows of it. And in the other direction */
    uint64_t look;        /* and a look at the catalogs after this number, */
    uint64_t sequences;   /* and a reading of the sequences */
};

/* How far the installation of our objects is at an end. */
enum lead_installing { LEAD_LOOKS, LEAD_INSTALLS, LEAD_INSTALLED };

struct lead_job {
    struct job job;
    struct sync *sync;
    enum lead_installing installing[JOB_SIDES];
    int installed[JOB_SIDES]; /* the version of our objects that was found */
    struct lead_identity identities[JOB_SIDES];
    bool begins_anew;            /* an end is not what it was, and a person has accepted that */
    bool is_accepted;            /* a person has asked for it */
    bool keeps_position;         /* of a way back: it goes on from where it was */
    const char *former_consumer; /* our name at the source until then; NULL: none (arena) */
    bool schema_tried;           /* the schema copy was asked since the last lead */
    bool schema_is_half;         /* its first part was begun once, and has not ended */
    bool is_first;               /* never led yet */
    bool adopts;                 /* the rows of the table in hand are at both ends */
    int waits_for;               /* the server process that holds the lock, 0: none */
    char pulse[64];              /* its sign of life, as it was seen last */
    double heard_at;             /* steady_now when that changed */
    double refused_since;        /* steady_now since when logins are refused, 0: they are not */
    /* The table in hand. */
    struct table *table;
    struct catalog *catalogs[JOB_SIDES]; /* read, until both are */
    int catalogs_due;                    /* answers */
    const char *chunks;                  /* arena */
    const char *emptied;                 /* arena: a snapshot from when the table was; NULL */
    bool is_blocked;                     /* a lock could not be had */
    /* Keeping watch: steady_now when each is due. */
    double status_due;
    double rotate_due;
    double stamp_due;
    double commands_due;
    double reconcile_due;
    int64_t batches;         /* of the sync, when that was last looked at */
    int64_t batches_rotated; /* and when its logs were */
    int rotations_left;      /* before what could not be emptied has to wait */
    char rotated[40]; /* the moment of the source's when all was as it should be; "": it was not */
    char stamps[JOB_SIDES][160];
    char moments[JOB_SIDES][40]; /* when they were made: the snapshot, hashed */
    uint64_t looks;              /* at them, so far */
    char captures[300];          /* what capture_glance said last */
    enum sync_phase recorded_phase;
    enum sync_phase sent_phase; /* on its way to be recorded */
    bool sent_finished;
    struct partition_page page; /* of keys of a dropped partition */
    struct list waits;          /* struct upkeep_wait */
    struct buf waiting;         /* their ids */
    struct buf captured;        /* the captures that are looked at */
    /* The request in hand. */
    int64_t command_id;
    bool command_ok;
    struct {
        bool of_all;       /* the tables after `table`, too */
        int tried;         /* rows so far */
        int refused;       /* of them, again */
        const char *error; /* the last one's (arena) */
    } retry;               /* of rows without a key that were left out */
    char answer[512];
    char *status; /* the last document (malloc) */
};

struct lead_job *lead_new(struct sync *s);
void lead_free(struct lead_job *l);
void lead_start(struct lead_job *l);
void lead_stop(struct lead_job *l);
/* There is something to look at now. */
void lead_wake(struct lead_job *l);
/* The status has changed, and is written now. */
void lead_show(struct lead_job *l);
/* What is known in memory does not agree with the target: everything is read anew. */
void lead_again(struct lead_job *l);
/* The parameter of sql/session_lock_timeout.sql where the application must not wait for us longer:
 * milliseconds, as configured. */
void lead_bind_lock_timeout(struct job *j, struct params *p);
/* The schema's first part is at the target. */
void lead_schema_done(struct lead_job *l);

#endif
