/* Reads the sequences at the source, sets them apart there and then at the target, fifty at a time.
 * The source goes first: the target begins beyond all that the source had given until then. All
 * that the source looked at, apart already or not, goes on to the target, so a crash between the
 * two is mended by the next run. */
#include "apart.h"

#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "lead.h"
#include "sync.h"

#define AGAIN_S 30. /* for sequences of new tables */

static struct apart_job *apart_of(struct job *j)
{
    return container_of(j, struct apart_job, job);
}

static void keep(struct apart_job *a, const char *sequences)
{
    free(a->sequences);
    a->sequences = mem_strdup(sequences);
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

static enum job_next take_tables(struct job *j, PGresult *r)
{
    keep(apart_of(j), field_text(r, 0, "tables"));
    return JOB_NEXT;
}

/* The same ones that a one-way sync keeps ahead. */
static void bind_read(struct job *j, struct params *p)
{
    params_text(p, apart_of(j)->sequences);
    params_bool(p, config_takes_everything(j->sync->config));
}

static enum job_next take_read(struct job *j, PGresult *r)
{
    keep(apart_of(j), field_text(r, 0, "sequences"));
    return JOB_NEXT;
}

static const char *how(const struct job *j)
{
    return j->sync->config->sequences_apart == CONFIG_APART_OFFSET ? "offset" : "interleave";
}

static void bind_source(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_bool(p, true);
    params_text(p, apart_of(j)->sequences);
    params_text(p, how(j));
}

static enum job_next take_source(struct job *j, PGresult *r)
{
    keep(apart_of(j), field_text(r, 0, "sequences"));
    apart_of(j)->fresh = field_int(r, 0, "fresh");
    return JOB_NEXT;
}

static void bind_target(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_bool(p, false);
    params_text(p, apart_of(j)->sequences);
    params_text(p, how(j));
}

/* A target that was made anew has more to do than the source, which kept what it was. */
static enum job_next take_target(struct job *j, PGresult *r)
{
    struct apart_job *a = apart_of(j);

    free(a->answered);
    a->answered = mem_strdup(field_text(r, 0, "sequences"));
    a->fresh += field_int(r, 0, "fresh");
    return JOB_NEXT;
}

/* Each end learns how far the other one has gone. */
static void bind_seen_at_target(struct job *j, struct params *p)
{
    params_bool(p, false);
    params_text(p, apart_of(j)->sequences);
}

static void bind_seen_at_source(struct job *j, struct params *p)
{
    params_bool(p, true);
    params_text(p, apart_of(j)->answered);
}

static enum job_next enter_apart(struct job *j)
{
    return apart_of(j)->fresh > 0 ? job_goto(j, "tables") : JOB_NEXT;
}

static void bind_prune(struct job *j, struct params *p)
{
    params_text(p, arena_printf(j->arena, "%.3f", j->sync->config->conflict_keep_s));
}

static enum job_next take_replays(struct job *j, PGresult *r)
{
    struct apart_job *a = apart_of(j);

    free(a->replays);
    a->replays = mem_strdup(field_text(r, 0, "replays"));
    return strcmp(a->replays, "[]") == 0 ? job_goto(j, "again") : JOB_NEXT;
}

static void bind_replayed(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_text(p, apart_of(j)->replays);
}

static enum job_next enter_again(struct job *j)
{
    struct apart_job *a = apart_of(j);

    j->failures = 0;
    if (!a->is_done) {
        a->is_done = true;
        j->sync->sequences_are_read = true;
        sync_think(j->sync);
        lead_show(j->sync->lead);
    }
    return job_sleep(j, AGAIN_S, job_goto(j, "tables"));
}

static const struct job_step steps[] = {
    {.name = "tables",
     .sql = &sql_sequence_tables,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_tables},
    {.name = "read",
     .sql = &sql_sequence_read,
     .side = JOB_SOURCE,
     .bind = bind_read,
     .result = take_read},
    {.name = "source",
     .sql = &sql_sequences_apart,
     .side = JOB_SOURCE,
     .bind = bind_source,
     .result = take_source},
    {.name = "target",
     .sql = &sql_sequences_apart,
     .side = JOB_TARGET,
     .bind = bind_target,
     .result = take_target},
    {.name = "seen at target",
     .sql = &sql_sequences_seen,
     .side = JOB_TARGET,
     .bind = bind_seen_at_target},
    {.name = "seen at source",
     .sql = &sql_sequences_seen,
     .side = JOB_SOURCE,
     .bind = bind_seen_at_source},
    {.name = "apart", .enter = enter_apart},
    {.name = "prune source", .sql = &sql_conflicts_prune, .side = JOB_SOURCE, .bind = bind_prune},
    {.name = "prune target", .sql = &sql_conflicts_prune, .side = JOB_TARGET, .bind = bind_prune},
    {.name = "replays",
     .sql = &sql_conflicts_replays,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_replays},
    {.name = "replayed", .sql = &sql_conflicts_replayed, .side = JOB_SOURCE, .bind = bind_replayed},
    {.name = "again", .enter = enter_again},
    {0},
};

static const struct job_type type = {
    .name = "sequences apart",
    .uses = {[JOB_SOURCE] = true, [JOB_TARGET] = true},
    .steps = steps,
};

void apart_init(struct apart_job *a, struct sync *sync)
{
    job_init(&a->job, sync->loop, &type, sync, sync->config->source, sync->config->target);
}

void apart_start(struct apart_job *a)
{
    if (!job_is_running(&a->job))
        job_start(&a->job);
}

void apart_stop(struct apart_job *a)
{
    job_stop(&a->job);
    a->is_done = false;
}

void apart_fini(struct apart_job *a)
{
    apart_stop(a);
    job_fini(&a->job);
    free(a->sequences);
    free(a->answered);
    free(a->replays);
    a->sequences = a->answered = a->replays = NULL;
}
