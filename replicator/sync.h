/* One sync: its tables, its jobs, and the rules by which it goes from phase to phase.
 *
 * Everything here is rebuilt from the two databases at every start; nothing that matters lives
 * only here. Read anywhere, write at home: tables are changed through the functions below, by the
 * jobs whose result they are. */
#ifndef SYNC_H
#define SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "apart.h"
#include "catalog.h"
#include "config.h"
#include "conflict.h"
#include "copy.h"
#include "direction.h"
#include "histogram.h"
#include "hooks.h"
#include "job.h"
#include "large_object.h"
#include "list.h"
#include "matview.h"
#include "schema.h"
#include "sequence.h"

struct daemon;
struct batch_job;
struct copier;
struct give_way;
struct lead_job;
struct log_watch;
struct poison;
struct poison_job;
struct skip;
struct pulse;

/* In the order in which a sync goes through them. */
enum sync_phase {
    SYNC_STARTING, /* connecting, finding out where we stand */
    SYNC_SCHEMA,   /* the schema is copied */
    SYNC_CAPTURE,  /* capture is installed, table by table */
    SYNC_COPY,     /* the initial copy runs */
    SYNC_CATCH_UP, /* towards the first consistent state */
    SYNC_FINISH,   /* indexes, constraints, foreign keys, triggers at the target */
    SYNC_FOLLOW    /* every change is applied as it comes */
};

enum table_state {
    TABLE_NEW,   /* not captured yet */
    TABLE_COPY,  /* chunks are to be copied, or its key to be made at the target */
    TABLE_FOLLOW /* its changes are applied */
};

/* What the change log holds of a table's changes. */
enum table_records {
    TABLE_KEY,    /* the keys of the rows */
    TABLE_IMAGE,  /* the rows, because there is no key: see schema/060_image.sql */
    TABLE_NOTHING /* that there was one: the table is read as a whole */
};

/* Why a table stands still. */
enum table_pause {
    TABLE_RUNS,
    TABLE_USER,
    TABLE_DRIFT,
    TABLE_ERROR,
    TABLE_CAPTURE,
    TABLE_OTHER /* in a two-way sync: because of the other direction */
};

/* How a chunk is loaded: copy_refused.c. */
enum copy_care {
    COPY_PLAIN,
    COPY_STAGED, /* through a temporary table: rows may be left for later */
    COPY_PARSED  /* and its values as bytes, which are made values of their types there */
};

struct table {
    struct list in_sync;
    struct sync *sync;
    struct table *other; /* the same in the other direction, once it was asked for; two_way.h */
    int id;              /* of its capture at the source; 0 while TABLE_NEW */
    enum table_state state;
    enum table_pause pause;
    struct error why;            /* of the pause: what, detail, hint */
    enum table_records records;  /* what its relations and the configuration ask for */
    enum table_records captured; /* what its capture does; of meaning while id is not 0 */
    double paused_at;            /* steady_now */
    bool is_recording;           /* the pause is being written at the target */
    bool is_recorded;            /* it is written */
    bool is_lossy;               /* TABLE_CAPTURE: changes may be missing, so it is copied again */
    bool wants_copy;             /* as soon as it stands still */
    bool copy_is_asked;          /* and that by a person */
    bool fits;                   /* its ends did, when the catalogs were last looked at */
    bool is_gone;                /* at both ends */
    bool is_orphan;              /* its capture is not known at the source */
    bool is_other_target;        /* the target's table is not the one that was copied to */
    bool has_other_layout;       /* than is recorded, with values that are right */
    bool is_unsure;              /* two-way: only a person knows whether both ends hold the same */
    bool takes_values;           /* and has said that they do */
    char *back_since; /* of the target, when its rows there were begun with: from there the way back
                         of a two-way sync reads it (malloc); NULL: not known */
    bool owes_keys;   /* of partitions that were dropped: partition.h */
    bool wants_plan;  /* its statements are to be made */
    bool knows_merge; /* its capture was asked whether it merges as is configured */
    bool wants_merge; /* it does not yet */
    int tries;        /* of its capture, in a row */
    double next_try;  /* steady_now; when its capture may be tried again */
    bool is_tried_again; /* new: it stood still, and a look is taken whether it may begin now */
    Oid source_oid;
    const struct relation *source; /* NULL when it is gone */
    const struct relation *target; /* NULL when it is not there */
    struct catalog_pair *catalogs; /* what source and target point into */
    const char *label;             /* schema.name, for people; lives in `arena` */
    struct arena *arena;           /* label, snapshot and statements; replaced when planned anew */
    char *snapshot;                /* its own position (malloc), NULL: the sync's */
    char *names[4]; /* schema and name at the source and at the target, as recorded (malloc) */
    int64_t log;    /* oid of the change log that its position is about */
    int plan;       /* counts the plannings of all tables: in the names of prepared statements */
    const char *read_sql;
    const char *upsert_sql;
    const char *upsert_large_sql; /* of one row, its values by themselves; NULL: there is none */
    const char *remove_sql;
    const char *clear_sql;
    char *layout; /* of the source when its values were last known to be here (malloc) */
    char *stamp;  /* of the catalog rows that source was read from (malloc), NULL: not known */
    char *target_layout; /* of the target at that time */
    char *capture_stamp; /* of the triggers and their function, likewise */
    bool delete_first;   /* values move between rows under a unique index: remove, then insert */
    bool removes_early;  /* rows take unique values of rows that are gone: remove those first */
    bool target_has_key;
    bool fires;      /* its triggers at the target are to fire for what arrives */
    bool owes_whole; /* TABLE_NOTHING: it has changed since it was last read */
    double whole_at; /* steady_now when that was */
    /* The initial copy. */
    bool tolerant;       /* rows may come twice */
    enum copy_care care; /* a chunk failed for a row: how it is loaded again */
    int chunks;
    int chunks_done;
    int streams;     /* copy jobs at work on it */
    char *copied_in; /* the snapshot in which its only chunk is read (malloc), NULL: a chunk of many
                      */
    int64_t bytes;
    int64_t rows;
    int64_t bytes_done; /* of chunks that are done */
    int64_t rows_done;
    int64_t bytes_moving; /* of chunks in hand */
    int64_t rows_moving;
    double copy_started_at;
    double copied_at;
    bool is_indexing;
    char *exported;              /* snapshot that its chunks share (malloc), NULL: none */
    struct snapshot_job *holder; /* keeps it alive */
    /* Following. */
    int moves; /* batches in a row that it spoilt by being altered while it was read */
    int64_t changes_pending; /* counted by the last probe */
    int64_t rows_applied;
    int64_t rows_uncommitted; /* by the batch in hand: they count when it is committed */
    int64_t conflicts;        /* two-way, in the forward direction: decided since the start */
    int64_t conflicts_told;   /* of these, to hooks */
    int failures;             /* in a row, while following */
    int retries;              /* of a table in error, in a row */
    /* Rows that the target refuses. */
    bool wants_search;     /* one is to be found */
    bool was_truncated;    /* in the batch that failed */
    int searches;          /* begun since the table failed */
    struct poison *poison; /* the one that was found (malloc), NULL: none */
    struct skip *skips;    /* those that are left out (malloc) */
    int skip_count;
    double retry_at;
};

struct sync {
    struct list in_daemon;
    struct daemon *daemon;
    struct sync *other; /* two-way: the other direction; NULL: there is none */
    bool is_back;       /* two-way: the one from target to source */
    struct ev_loop *loop;
    const struct config_sync *config;
    const char *name;
    enum sync_phase phase;
    bool is_paused;           /* by a person */
    bool is_new;              /* it had no tables when this lead began */
    enum direction direction; /* two-way, of the forward sync: which are open */
    char direction_since[40]; /* empty: always */
    struct direction_change direction_change;
    bool is_consistent;    /* the target shows exactly one committed state of the source */
    bool is_led;           /* the lock is held and the tables are known: jobs may work */
    bool has_replica_role; /* and writes every table in it: no foreign key minds the order */
    int64_t owner;         /* our fencing token */
    char *consumer;
    char *capture_lsn; /* the source's WAL position after the last installation (malloc) */
    char *snapshot;    /* the sync's position (malloc), NULL: none yet */
    char *told;        /* what the source has noted of it, on its disk (malloc); NULL: nothing */
    struct catalog_pair *catalogs; /* the latest reading */
    struct list tables;            /* struct table, largest first */
    int table_count;
    int plans;        /* see table->plan */
    struct list jobs; /* struct job, those that run now */
    struct lead_job *lead;
    struct log_watch *log_watch;
    struct pulse *pulse;
    struct give_way *give_way;
    struct copier *copier; /* NULL but in a process that only helps with the copy */
    struct batch_job *batch;
    struct sequence_job *sequences;
    struct apart_job *apart; /* in a two-way sync instead of these */
    struct matview_job *matviews;
    struct statistics_job *statistics;
    struct large_object_job *large_objects;
    struct schema_copy *schema;
    struct poison_job *poison; /* looks for refused rows */
    struct copy_rate rate;
    struct copy_others others;
    /* For status. */
    double started_at;
    double copy_started_at;
    double waiting_since; /* steady_now since when only a person can help, 0: not so */
    double held_since;    /* the same, where a person has paused it */
    double caught_up_at;  /* steady_now when the last probe found nothing, or the last batch's */
    int64_t batches;
    int64_t batch_rows;
    double last_batch_s;
    char *batch_held_by; /* the session at the target that a batch waits for (malloc); NULL: none */
    struct histogram batch_times;
    int64_t log_bytes;
    struct hook_marks marks;
    struct conflict_news conflict_news;
    bool wants_catalog;  /* a catalog has changed, or is to be read again */
    bool had_tables;     /* the tables were taken in before: others are new ones */
    char *known_tables;  /* those asked for at that time: oids, an array's text (malloc) */
    bool expects_schema; /* tables missing at the target are about to be created */
    bool replaces_rows;  /* the source was accepted anew: a first copy may replace rows */
    bool schema_finished;
    bool schema_retried;      /* what could not be created, since we lead */
    bool sequences_are_asked; /* for, since everything else was there */
    bool sequences_are_read;
    bool is_held;      /* another daemon holds the sync's lock */
    char *log_held_by; /* the session that keeps the change logs from being emptied (malloc) */
    int64_t log_held_s;
    char *log_slowest; /* the sync that the change logs are kept for, of several (malloc) */
    int64_t log_slowest_s;
    bool log_is_namesakes;    /* it has our name, and another target */
    bool log_is_above;        /* the limit, as was said */
    struct error log_trouble; /* why the change logs are not looked after; empty: they are */
    int log_failures;         /* as often as that was tried since */
    json_t *problems;         /* what waits for a person, for status */
    struct error stopped;     /* why it cannot go on without a person; empty: it can */
};

const char *sync_phase_name(enum sync_phase p);
const char *table_state_name(enum table_state s);
const char *table_pause_name(enum table_pause p);
const char *table_records_name(enum table_records r);

/* Makes a sync from its configuration; starts nothing. */
struct sync *sync_new(struct daemon *d, struct ev_loop *loop, const struct config_sync *config);
void sync_start(struct sync *s);
/* Ends all its jobs at once: what is in hand is rolled back and done again at the next start. */
void sync_stop(struct sync *s);
void sync_free(struct sync *s);

/* The leading job has lost a connection or was refused: everything stops until it leads again. */
void sync_lost_lead(struct sync *s);
/* Looks at where everything stands and starts what is next: copy streams, batches, the rest of the
 * schema, materialized views. Called whenever something has ended; cheap. */
void sync_think(struct sync *s);
/* As many copy jobs as would find something to do. */
void sync_start_streams(struct sync *s);
/* The same while the leading job still makes captures, in a sync that had no tables when this lead
 * began: all that are being copied were taken in by it. Where rows are replaced, or come both ways,
 * nothing. */
void sync_start_early(struct sync *s);

/* A table's place among the others, and finding one. */
struct table *sync_table_new(struct sync *s);
void sync_table_forget(struct table *t);
struct table *sync_table_find(struct sync *s, int id);
struct table *sync_table_find_oid(struct sync *s, Oid source_oid);
struct table *sync_table_find_name(struct sync *s, const char *schema, const char *name);
/* A batch with changes of this table has been committed. */
void sync_table_changed(struct table *t);
/* A person has paused it, or it has a part in the sync and is paused for longer than what mends
 * itself in a moment takes. */
bool table_is_standing(const struct table *t);
/* The table has no part in the sync yet and waits for a person: it has no key, or is missing at the
 * target. Or that is mended, and its copy has not begun: its capture may wait long for a lock. The
 * others do not wait for it. */
bool table_is_left_out(const struct table *t);
/* How many tables are not left out. */
int sync_tables_taking_part(const struct sync *s);
/* Its capture logs what the table's replication needs. */
bool table_is_captured(const struct table *t, enum table_records records);
/* The table takes part in batches now. */
bool table_is_followed(const struct table *t);
/* Points the table at relations of a reading; old ones are let go. */
void table_set_relations(struct table *t, struct catalog_pair *pair, const struct relation *source,
                         const struct relation *target);
/* Puts a table out of step, in memory; the leading job records it. */
void table_pause(struct table *t, enum table_pause why, const struct error *e);
void table_set_layouts(struct table *t, const char *source, const char *target);
/* The names under which the target knows it; false: it has others by now. Not recorded yet: true.
 */
void table_set_names(struct table *t, const char *const names[4]);
bool table_has_names(const struct table *t, const struct relation *source,
                     const struct relation *target);
void table_set_snapshot(struct table *t, const char *snapshot);
void table_set_back_since(struct table *t, const char *snapshot);

/* A batch, in either direction, is at work on a round. */
bool sync_is_in_round(const struct sync *s);
/* False while foreign keys are added at the target: see schema.c. */
bool sync_may_begin_round(const struct sync *s);

/* No table is left to be copied: large objects aside. */
bool sync_has_all_tables(const struct sync *s);
/* What `run --until` asks: everything is copied; the target follows in a consistent state, with
 * its whole schema, sequences and materialized views. */
bool sync_is_copied(const struct sync *s);
bool sync_is_in_sync(const struct sync *s);
/* Looks whether it waits for a person now; sync_think() does. */
void sync_note_waiting(struct sync *s);
/* Nothing more will happen by itself until a person mends a table. */
bool sync_waits_for_person(const struct sync *s);
/* The same, since a person has paused it, or its last tables. */
bool sync_is_held_by_person(const struct sync *s);

#endif
