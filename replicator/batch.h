/* Batches: reads what has changed at the source between two snapshots, and applies it at the target
 * in one transaction together with the new position. One job per sync, for all its tables that
 * are past their copy. */
#ifndef BATCH_H
#define BATCH_H

#include "apply.h"
#include "job.h"
#include "snapshot.h"
#include "sync.h"

/* What was decided about rows that both ends have changed: keys that are not sent to the target, as
 * the source and as the target write them; those not sent to the source; rows that are merged at
 * the target and at the source, and the keys of these at both ends. */
enum batch_list {
    BATCH_READ,
    BATCH_KEEP,
    BATCH_BACK_READ,
    BATCH_BACK_KEEP,
    BATCH_MERGE,
    BATCH_BACK_MERGE,
    BATCH_PAIRS,
    BATCH_LISTS
};

struct batch_piece;

/* More than there are between two looks; one that is forgotten costs a look. */
enum { BATCH_OWN = 4 };

/* A table's part in the batch that is being made. */
struct batch_table {
    struct table *table;
    struct snapshot since; /* from where it is read */
    int64_t changes;       /* log rows since then, 0: not in this batch */
    bool is_truncated;
    bool is_broken;
    bool is_other_log; /* not the one that its position is about */
    bool has_removals; /* of images */
    char *stamp;       /* in the batch's snapshot (arena) */
    bool is_cleared;   /* all its rows were removed, because it was truncated */
    bool is_prepared;  /* the reading statement, on this connection */
    bool has_probe;    /* so is the one that counts its changes */
    bool is_filled;    /* its log held something when its size was last asked for */
    bool is_probed;    /* its changes were asked for in this round */
    const char *probe; /* the text of that statement (probe_texts) */
    /* In a two-way sync; texts live in the batch's arena, lists are JSON. */
    int other_id; /* of its capture in the other direction */
    int64_t other_changes;
    bool other_truncated;
    const char *other_since;
    const char *own_keys; /* that were changed at the source */
    const char *keys;     /* of these, those that were changed at the target too */
    size_t keys_at;       /* where in them the next page begins: batch_page.c */
    int page_keys;        /* how many a page has at most */
    int page_count;       /* and the one in hand has */
    int page_done;        /* of these, how many were decided about, 0: all that were read */
    const char *page;     /* its keys, NULL: it has none of this table */
    struct batch_piece *found[BATCH_LISTS]; /* in all of them */
    const char *details[2];                 /* about them, from the source; and about how many */
    const char *verdict;                    /* what was decided */
    int64_t aborted;                        /* how many of them are not to be decided */
    const char *left_out;                   /* keys that are not read: they lose */
    const char *keep;         /* the same, as the target writes them: a truncation leaves them */
    const char *survivors;    /* keys that came to the source after it was truncated */
    const char *records;      /* for rebeco.conflict, NULL: none; those of the last page */
    const char *passed;       /* the same, on their way to the other direction */
    bool has_written;         /* those of others, in the transaction that is open at the target */
    const char *recalled;     /* keys of which none is to be there after all, NULL: none */
    const char *recalls;      /* how many there were */
    int64_t conflicts;        /* of these, as long as neither direction has committed them */
    const char *merged;       /* rows of which both changes are kept: batch_merge.h; NULL: none */
    bool has_sums;            /* they were written in this transaction, counters and all */
    const char *merged_pairs; /* keys at both ends of what is merged at either */
    const char *late_keys;    /* changed at the target after the round's snapshot */
    const char *hot;          /* keys that were changed too late lately (hot_arena), NULL: none */
    const char *hot_known;    /* what becomes of them in this round */
    const char *spared;       /* what becomes of rows that a truncation has left for later */
    bool late_lost;           /* and a row was removed by a foreign key that came after it */
    const char *again;        /* keys to be logged at the source once more, NULL: none */
    const char *again_there;  /* and at the target: batch_again.c */
    const char *skipped;      /* what an earlier round has left different (JSON), NULL: none */
    bool is_placed;           /* in the order */
    bool is_parent;           /* foreign keys that cannot be switched off point to it */
    bool is_whole;            /* and from its own rows */
    bool is_early;            /* its removals come before its writes (batch_order.c) */
    bool is_ruled;            /* foreign keys change its rows with others */
};

/* What a statement sent to the source was for. */
enum batch_answer {
    BATCH_NOTHING,
    BATCH_PROBE_TEXT,
    BATCH_SNAPSHOT,
    BATCH_LOGS,
    BATCH_LOOKED,
    BATCH_PROBE,
    BATCH_STAMPS,
    BATCH_ROWS,
    BATCH_CHECK,
    BATCH_CONFIRM,
    BATCH_NAP,
    BATCH_DISTURBED,
    BATCH_GLANCE,
    BATCH_TIMES,
    BATCH_TEXT
};

/* Whether the rows of a half round are under way to the target. */
enum batch_writing {
    BATCH_WRITES_NOT,
    BATCH_WRITES,
    BATCH_REFUSED, /* a statement was refused: what has been sent is waited for, and no more comes
                    */
    BATCH_ASKS_WHY /* its transaction is rolled back: was it because of what came in between? */
};

struct batch_sent {
    enum batch_answer what;
    struct batch_table *table; /* BATCH_ROWS, BATCH_TIMES */
    enum apply_mode mode;      /* BATCH_ROWS */
    const char **answer;       /* BATCH_TEXT: where the one value goes */
};

struct batch_job {
    struct job job;
    struct sync *sync;
    struct apply apply;
    struct batch_table *group; /* the tables that take part */
    int group_count;
    int looks;                 /* statements that tell which of the group's logs hold anything */
    int generation;            /* of their names */
    struct arena *probe_texts; /* lives as long as the group */
    struct ring sent;          /* struct batch_sent: what the source has not answered */
    int syncs_due;             /* sync points not reached yet, both sides */
    /* The batch in hand. */
    struct arena *arena; /* lives for one batch */
    char *until;
    char *taken_at;
    char *insert_lsn;
    double taken_s; /* steady_now when the snapshot was asked for */
    double clock_s; /* the source's, with the snapshot */
    double look_s;  /* how long the source has looked into all logs; 0: not worth a rest */
    double read_s;  /* steady_now when the source had answered all */
    double found_s; /* when changes were last found */
    bool has_running;
    int64_t changes;
    struct batch_table **order; /* the tables with changes, parents before their children (arena) */
    int order_count;
    bool defers;              /* foreign keys that were not made for it wait for the batch's end */
    struct table *defers_for; /* because of this table */
    bool clears_late;     /* truncations of tables that others refer to come after the writing */
    int clear_turns;      /* how often that was chosen anew */
    bool has_moved;       /* a table changed its look between snapshot and reading */
    bool is_flushed;      /* all that the snapshot saw is on the source's disk */
    bool says_consistent; /* with its commit the target shows one state of the source */
    /* In a two-way sync. */
    int waits_at;           /* for the other direction, and where: batch_two_way.c */
    const char *after_page; /* the step after the one that waits with a page */
    bool owes_conflicts;    /* what was decided may be known at one end only */
    bool ends_differ;       /* it is: asked by digest before */
    bool is_half_done;      /* the last round may have gone through in the other direction alone */
    const char *recent[JOB_SIDES][3];    /* what was decided lately, as each end knows it: a page of
                                            it, of which round, and where the next one begins */
    const char *recent_round[JOB_SIDES]; /* of the page before (arena), NULL: there was none */
    const char *recent_before[JOB_SIDES]; /* "": that was the last */
    bool both_idle;                       /* neither has anything to do in this round */
    bool is_closed;                 /* this direction sends nothing in this round: direction.c */
    const char *other_until;        /* the other direction's snapshot of this round (arena) */
    const char *late;               /* what was changed at the target after it (arena) */
    const char *gone[JOB_SIDES];    /* what was removed at each end (arena) */
    const char *orphans[JOB_SIDES]; /* rows of each end that refer to such rows (arena) */
    const char *needed[JOB_SIDES][JOB_SIDES]; /* those that may not go, as each end knows (arena) */
    double clock_ahead_s;                     /* the source's clock before ours */
    double clock_error_s;                     /* how far that may be wrong, 0: not measured */
    struct arena *slice_arena;  /* what is asked about one slice of the keys; NULL: nothing */
    int slice, slices;          /* of the keys that both ends may have changed */
    struct arena *page_arena;   /* what is asked about one page of a slice; NULL: nothing */
    int page_tables;            /* of how many tables it has keys */
    bool is_paged;              /* there is, or was, more than one */
    bool has_begun;             /* the transaction at the target that will write this half, early */
    enum batch_writing writing; /* what becomes of this half of the round: batch_late.c */
    struct error refusal;       /* why the target has refused it */
    struct table *refused;      /* the table that this is about, NULL: none */
    int refusals;               /* rounds in a row that were refused and given up */
    int refusals_alike;         /* the last of these that were so in the same words */
    struct arena *hot_arena;    /* lives until a round gets through */
    int given_up;               /* rounds in a row, for rows that were changed too late */
    int lost;          /* rounds in a row that were given up for a row that came too late */
    int64_t conflicts; /* of the forward one: decided and committed since the start */
    int64_t redone;    /* rounds given up because a row was changed meanwhile */
    /* Between batches. */
    bool has_napped;     /* writers have been asked to announce themselves */
    bool writers_notify; /* and may do so here */
    bool is_disturbed;   /* a writer came by since the nap */
    int quiet_rounds;    /* probes in a row that found nothing */
    int busy_rounds;     /* those in a row that found something */
    char *seen; /* what this snapshot shows of the group is at the target (malloc); NULL: none */
    int64_t own[BATCH_OWN]; /* our last transactions at the source that no look need find */
    int own_count;          /* of all that there were since the start */
    bool is_announced;      /* a writer has said that it came by: a glance would tell nothing */
    bool is_unmoved;        /* the source shows nothing that `seen` does not */
    double running_wait_s;  /* how long to wait for writers from before the nap */
    double confirmed_s;     /* steady_now of the last confirmation to the source */
    bool confirm_due;
    char *telling;         /* what it says (malloc); NULL: nothing that is not answered yet */
    bool is_in_round;      /* it takes part in a round, or waits for it: that goes on to its end */
    uint64_t gathers;      /* how often the tables of a round were looked for */
    uint64_t rounds_begun; /* counts probes; for kick --wait */
    uint64_t rounds_done;  /* the number of the last round after which nothing was pending */
};

struct batch_job *batch_new(struct sync *s);
void batch_free(struct batch_job *b);
void batch_start(struct batch_job *b);
void batch_stop(struct batch_job *b);
/* The last few looks have found nothing. */
bool batch_is_quiet(const struct batch_job *b);
/* The last look found nothing, the next one is not late, and a writer would have been noticed
 * since: nothing is behind. `now` is steady_now(). */
bool batch_is_asleep(const struct batch_job *b, double now);
/* Ends a nap or a rest now: there is something to do. */
void batch_wake(struct batch_job *b);
/* The next round begins now, for the other direction's sake; what is known of the writers here, and
 * that they were asked to announce themselves, stays. */
void batch_rouse(struct batch_job *b);
/* Looks for changes, or brings some: whatever takes the loop's time now makes them late. False
 * while it sleeps, or a statement at the source waits for a writer. */
bool batch_is_at_work(const struct batch_job *b);

#endif
