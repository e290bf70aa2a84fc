/* Which directions of a two-way sync are open, and closing one while everything runs. */
#ifndef DIRECTION_H
#define DIRECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"

struct sync;
struct lead_job;

enum direction { DIRECTION_BOTH, DIRECTION_SOURCE_TO_TARGET, DIRECTION_TARGET_TO_SOURCE };

/* A change of it that a person has asked for, and how far it is. */
struct direction_change {
    int64_t id; /* of the request, 0: none */
    enum direction wanted;
    enum direction_stage {
        DIRECTION_OPENING,  /* both are to be open: written at the target */
        DIRECTION_DRAINING, /* all that was committed before the request is on its way */
        DIRECTION_CLOSING,  /* it is there; nothing more is sent, and the last round ends */
        DIRECTION_SETTING   /* written at the target */
    } stage;
    uint64_t round; /* what is waited for is done by a round of batches begun after this number */
};

/* Why nothing is copied while the direction from source to target is closed. */
extern const char direction_no_copy[];

const char *direction_name(enum direction d);
/* False when the word names none. */
bool direction_read(const char *word, enum direction *d);
/* Nothing is sent in the direction of this sync, one of a pair. */
bool direction_is_closed(const struct sync *s);
/* One of the pair's directions is closed. */
bool direction_is_any_closed(const struct sync *s);

/* What is written at the target: the direction, and since when, NULL: always. */
void direction_note(struct sync *s, const char *word, const char *since);
/* For the leading job, at its beginning: a change in hand is taken up again from its request. */
void direction_forget_change(struct sync *s);
/* A request; answered at once when that is possible, later else. */
enum job_next direction_take(struct job *j, int64_t id, const char *word);
/* A request for a direction is in hand: neither it nor the next one is taken now. */
bool direction_is_in_hand(const struct sync *s, const char *verb);
/* Takes the change in hand further; JOB_NEXT: there is nothing to do now. */
enum job_next direction_watch(struct job *j);
/* The step that writes it at the target. */
void direction_bind_set(struct job *j, struct params *p);
enum job_next direction_take_set(struct job *j, PGresult *r);

#endif
