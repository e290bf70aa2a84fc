/* A sync in both directions is two syncs, a pair: the one that a person configured, and its way
 * back from target to source, which has jobs, tables and a position of its own. Here is what makes
 * a pair of them: which tables may run, and what stops when the other one stops. */
#ifndef TWO_WAY_H
#define TWO_WAY_H

#include "config.h"
#include "job.h"
#include "sync.h"

/* The configuration of the way back of `c`; lives in the arena of `owner`. */
struct config_sync *two_way_config_back(struct config *owner, const struct config_sync *c);
/* Makes two syncs a pair; the second one is the way back. */
void two_way_join(struct sync *forward, struct sync *back);
/* The way back is started once the copy and its schema are complete, and as long as the sync is
 * led. */
void two_way_think(struct sync *s);
/* From here on neither direction applies anything without looking at the other. */
bool two_way_is_coupled(const struct sync *s);
/* The same table in the other direction, or NULL. */
struct table *two_way_other(struct table *t);
/* The table is about to be freed, or means another relation. */
void two_way_unlink(struct table *t);
/* Words about an end, as a person knows the ends: on the way back "the source" and "the target" are
 * exchanged in the text. */
void two_way_say_ends(const struct sync *s, char *text);
/* The table was paused: so is the other direction's. */
void two_way_paused(struct table *t);
/* A table that was paused with the other direction may go on. */
bool two_way_may_go_on(struct table *t);
/* The other direction's table runs too, or there is none to be waited for. */
bool two_way_is_ready(struct table *t);
/* Takes tables out of step that the other direction does not follow. False: wait a moment, it is
 * about to. */
bool two_way_gate(struct sync *s);
/* The target has got triggers or rules that would do again what they did at the other end: the
 * table, which runs in both directions, is paused. */
bool two_way_is_acted_on(struct table *t, const struct relation *target);
/* For the way back: the table of that oid at its source is followed in the other direction, or
 * waits to be captured here. */
bool two_way_may_take_in(struct sync *s, Oid source_oid);
/* A new table may be looked at and copied: what the target writes from here on is known. False: the
 * way back has been asked to capture it. */
bool two_way_is_captured(struct table *t);
/* From where the way back reads a new table, NULL: it does not yet, or there is none. */
const char *two_way_captured_since(struct table *t);
/* The table's copy has been recorded: the other direction may have to begin anew, or have waited.
 */
void two_way_was_added(struct table *t);
/* A table of the way back whose position is from before its rows were copied again stands still
 * until it is taken in anew. */
void two_way_look_back(struct table *t);
/* Its rows at the target may go, to be copied again: the changes that come after that are captured
 * there. */
bool two_way_may_be_emptied(struct table *t);
/* From where it is read then; NULL: from now on. */
const char *two_way_new_position(struct table *t);
/* After how many seconds a table that failed is tried again. */
double two_way_retry_s(const struct table *t, const struct error *e);
/* Parameters of a session that writes at the target: whether it belongs to a pair, and which, as
 * below. In a two-way sync a row may refer to one that the other end has just removed: without
 * foreign keys it would stay behind, at one end or at both, so they stay on. */
void two_way_bind_session(struct job *j, struct params *p);
/* The name of the pair, the same for both directions; NULL for a one-way sync. What is logged of
 * their own writes bears it (schema/073_chain.sql). */
void two_way_bind_pair(struct job *j, struct params *p);
/* The policy for conflicts in a table. */
const char *two_way_policy(const struct sync *s, const struct table *t);

#endif
