/* Copying the schema: the stages, as three jobs that follow each other.
 *
 *   prepare  both connections: decides, runs pg_dump, and finds out what the target lacks
 *   restore  no connection: runs pg_restore, which may take hours
 *   record   the target: looks at what is there now and records what is missing
 *
 * What is always true: what the target lacks is found out by looking, before and after; what
 * pg_restore says is only the explanation. In SCHEMA_POST pg_restore runs in parallel first and
 * what fails then is tried once more alone: the words of parallel workers cannot be told apart. The
 * archive and the list live in memory (memfd), so no disk is needed and nothing is left behind.
 *
 * Why batches wait while foreign keys are added. Everything else that SCHEMA_POST creates locks one
 * table, and a batch that needs it waits its turn. A foreign key locks the child, then the parent
 * (both SHARE ROW EXCLUSIVE), and a batch has written into parents when it comes to their children:
 * the two would wait for each other, the server would end one of them, and either loses hours on a
 * large table. So foreign keys have a pass of their own, which begins when no round is in hand, and
 * until its end none begins. The batch would not get far meanwhile: it needs both tables. What
 * fails goes through the last pass, alone and with the batches waiting, too. Sessions that are not
 * ours may still be in the way there: what failed for a lock is tried again some times.
 *
 * Early: reading the source's schema for SCHEMA_POST takes as long as copying some small tables, so
 * it is done while the last rows come, up to the comparison with the target, where it waits. Where
 * all rows come within seconds, what was read for SCHEMA_PRE will do. A schema that was read more
 * than EARLY_MAX_S ago is read anew: what the source alters in between is no more likely to be
 * missed than what it alters right after. */
#include "schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "schema_work.h"
#include "steady.h"
#include "sync.h"

enum { OUTPUT_MAX = 24 * 1024 * 1024, STREAMS_MAX = 16 };

#define RETRY_MAX_S 30.
#define EARLY_MAX_S 15.
#define LOOK_FOR_ROUND_S 0.02
#define LOCK_REST_S 0.5 /* longer by that at each try */

static struct schema_copy *of_restore(struct job *j)
{
    return container_of(j, struct schema_copy, restore);
}

const char *schema_stage_name(const struct schema_copy *s)
{
    return s->stage == SCHEMA_PRE ? "pre" : "post";
}

enum job_next schema_fail_for_person(struct schema_copy *s, const struct error *e)
{
    s->needs_person = true;
    ev_timer_stop(s->loop, &s->tell_trouble);
    ev_timer_set(&s->tell_trouble, 0., 0.);
    ev_timer_start(s->loop, &s->tell_trouble);
    return job_fail(s->running, e);
}

static void on_tell_trouble(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct schema_copy *s = container_of(w, struct schema_copy, tell_trouble);

    (void)loop;
    (void)events;
    if (s->on_trouble)
        s->on_trouble(s);
}

void schema_copy_on_trouble(struct schema_copy *s, schema_handler *trouble)
{
    s->on_trouble = trouble;
}

/* ------------------------------------------------------------------ processes */

static void on_child_ended(struct child *c)
{
    struct schema_copy *s = c->owner;
    struct job *j = s->running;
    enum job_next next;

    s->child_name = "";
    next = s->child_ended(s);
    if (next != JOB_FAILED)
        job_continue(j, next);
}

enum job_next schema_run(struct schema_copy *s, const char *name, struct child_program *p,
                         enum job_next (*ended)(struct schema_copy *s))
{
    static const char *const plain[] = {"LC_ALL=C", "LANGUAGE", NULL};
    struct error e;

    error_clear(&e);
    if (p->environment == NULL)
        p->environment = plain;
    p->output_max = OUTPUT_MAX;
    s->child_ended = ended;
    if (!child_start(&s->child, p, &e))
        return job_fail(s->running, &e);
    s->child_name = name;
    return JOB_WAIT;
}

void schema_run_stop(struct schema_copy *s)
{
    s->holds_batches = false;
    child_stop(&s->child);
    login_clear(&s->login);
    s->child_name = "";
}

bool schema_memory(int *fd, struct error *e)
{
    if (*fd >= 0)
        close(*fd);
    *fd = memfd_create("rebeco-schema", MFD_CLOEXEC);
    if (*fd >= 0)
        return true;
    error_set(e, "There is no memory for an archive of the schema");
    error_detail(e, "memfd_create: %s", strerror(errno));
    return false;
}

static bool write_all(int fd, const struct buf *b, struct error *e)
{
    size_t done = 0;

    while (done < b->len) {
        ssize_t n = write(fd, b->data + done, b->len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            error_set(e, "A list of objects could not be kept in memory");
            error_detail(e, "%s", strerror(errno));
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

/* ------------------------------------------------------------------ from job to job */

void schema_start_job(struct schema_copy *s, struct job *j)
{
    s->running = j;
    job_start(j);
}

static void release(struct schema_copy *s)
{
    s->running = NULL;
    if (s->archive >= 0)
        close(s->archive);
    if (s->use_list >= 0)
        close(s->use_list);
    s->archive = s->use_list = -1;
    buf_clear(&s->documents, 0);
    buf_clear(&s->statements, 0);
    buf_clear(&s->exclude, 0);
}

static void forget_earlier(struct schema_copy *s)
{
    ev_timer_stop(s->loop, &s->earlier.forget);
    if (s->earlier.archive >= 0)
        close(s->earlier.archive);
    s->earlier.archive = -1;
    buf_clear(&s->earlier.exclude, 0);
}

static void on_forget(struct ev_loop *loop, struct ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    forget_earlier(container_of(w, struct schema_copy, earlier.forget));
}

/* Before release(): for as long as it may be used, it is not closed. */
static void keep_earlier(struct schema_copy *s)
{
    double left_s = s->read_at + EARLY_MAX_S - steady_now();

    if (s->stage != SCHEMA_PRE || s->archive < 0 || left_s <= 0)
        return;
    forget_earlier(s);
    s->earlier.archive = s->archive;
    s->archive = -1;
    if (s->exclude.len > 0)
        buf_append(&s->earlier.exclude, s->exclude.data, s->exclude.len);
    ev_timer_set(&s->earlier.forget, left_s, 0.);
    ev_timer_start(s->loop, &s->earlier.forget);
}

bool schema_take_earlier(struct schema_copy *s)
{
    struct schema_dump *d = &s->earlier;

    if (s->stage != SCHEMA_POST || d->archive < 0 || d->exclude.len != s->exclude.len ||
        (s->exclude.len > 0 && memcmp(d->exclude.data, s->exclude.data, s->exclude.len) != 0))
        return false;
    s->archive = d->archive;
    d->archive = -1;
    forget_earlier(s);
    return true;
}

void schema_finish(struct schema_copy *s)
{
    keep_earlier(s);
    release(s);
    error_clear(&s->trouble);
    s->needs_person = false;
    if (s->then_post)
        schema_copy_start(s, SCHEMA_POST);
    else
        s->done(s);
}

bool schema_failed(struct schema_copy *s, const struct error *e)
{
    schema_run_stop(s);
    s->trouble = *e;
    return true;
}

void schema_prepared(struct job *j, bool finished)
{
    struct schema_copy *s = container_of(j, struct schema_copy, prepare);

    (void)finished;
    error_clear(&s->trouble);
    if (!s->is_ours) {
        schema_finish(s);
        return;
    }
    s->pass = s->stage == SCHEMA_PRE ? SCHEMA_ALONE : SCHEMA_PARALLEL;
    s->lock_tries = 0;
    schema_start_job(s, &s->restore);
}

/* ------------------------------------------------------------------ pg_restore */

static void clear_messages(struct schema_copy *s)
{
    for (int i = 0; i < s->list.count; i++) {
        struct schema_entry *e = &s->list.entries[i];

        if (schema_entry_treatment(e) == SCHEMA_SELF)
            continue;
        free(e->message);
        e->message = NULL;
    }
}

static enum job_next restored(struct schema_copy *s)
{
    struct schema_report report;
    struct error e;
    bool good;

    s->holds_batches = false;
    buf_init(&report.general);
    clear_messages(s);
    schema_list_parse_errors(&s->list, s->child.errors.data, &report);
    good = !report.is_lost && (child_is_success(&s->child) || report.ignored >= 0);
    buf_fini(&report.general);
    if (good)
        return JOB_NEXT;
    error_clear(&e);
    child_error(&s->child, &e, "pg_restore could not finish at the target");
    error_hint(&e, "It is tried again, and goes on with what is missing then.");
    return job_fail(&s->restore, &e);
}

static int streams(const struct schema_copy *s)
{
    int n = s->sync->config->copy_streams;

    n = n < s->todo ? n : s->todo;
    return n < STREAMS_MAX ? n : STREAMS_MAX;
}

static enum job_next run_restore(struct schema_copy *s)
{
    struct arena *a = s->restore.arena;
    const char *arguments[16] = {"pg_restore",
                                 "--verbose",
                                 "--no-owner",
                                 "--no-privileges",
                                 "--no-tablespaces",
                                 "--no-password",
                                 "--use-list=/proc/self/fd/4"};
    struct child_program p = {.path = s->tool->restore,
                              .arguments = arguments,
                              .environment = s->logins[JOB_TARGET].environment,
                              .input = s->logins[JOB_TARGET].passfile,
                              .files = {s->archive, s->use_list},
                              .output_file = -1};
    int n = 7;

    arguments[n++] = arena_printf(a, "--dbname=%s", s->logins[JOB_TARGET].conninfo);
    if (s->pass != SCHEMA_ALONE && streams(s) > 1)
        arguments[n++] = arena_printf(a, "--jobs=%d", streams(s));
    arguments[n++] = "/proc/self/fd/3";
    s->scanned = 0;
    s->counted = 0;
    return schema_run(s, "pg_restore", &p, restored);
}

/* Somebody who is not ours held a lock: he gets time to go. */
static enum job_next rest(struct job *j)
{
    const struct schema_copy *s = of_restore(j);

    return s->lock_tries > 0 ? job_sleep(j, LOCK_REST_S * s->lock_tries, JOB_NEXT) : JOB_NEXT;
}

/* From here on no round of a batch begins; goes on when the one in hand is over. */
static enum job_next hold_batches(struct job *j)
{
    struct schema_copy *s = of_restore(j);

    s->holds_batches = s->stage == SCHEMA_POST && s->pass != SCHEMA_PARALLEL;
    if (s->holds_batches && sync_is_in_round(s->sync))
        return job_sleep(j, LOOK_FOR_ROUND_S, JOB_REPEAT);
    return JOB_NEXT;
}

static enum job_next restore(struct job *j)
{
    struct schema_copy *s = of_restore(j);
    struct buf entries;
    struct error e;
    bool good;

    error_clear(&e);
    buf_init(&entries);
    s->todo = schema_list_print(&s->list, s->pass != SCHEMA_PARALLEL, &entries);
    good = schema_memory(&s->use_list, &e) && write_all(s->use_list, &entries, &e);
    buf_fini(&entries);
    if (!good)
        return job_fail(j, &e);
    return s->todo > 0 ? run_restore(s) : JOB_NEXT;
}

static void restore_begin(struct job *j)
{
    schema_run_stop(of_restore(j));
}

static bool restore_failed(struct job *j, const struct error *e)
{
    return schema_failed(of_restore(j), e);
}

static void restore_ended(struct job *j, bool finished)
{
    struct schema_copy *s = of_restore(j);

    (void)finished;
    error_clear(&s->trouble);
    schema_start_job(s, &s->record);
}

static const struct job_step restore_steps[] = {
    {"rest", NULL, JOB_TARGET, NULL, NULL, rest, NULL, 0},
    {"hold batches", NULL, JOB_TARGET, NULL, NULL, hold_batches, NULL, 0},
    {"target login", NULL, JOB_TARGET, NULL, NULL, schema_enter_target_login, NULL, 0},
    {"restore", NULL, JOB_TARGET, NULL, NULL, restore, NULL, 0},
    {NULL, NULL, JOB_TARGET, NULL, NULL, NULL, NULL, 0},
};

static const struct job_type restore_type = {
    .name = "schema-restore",
    .steps = restore_steps,
    .begin = restore_begin,
    .failed = restore_failed,
    .ended = restore_ended,
};

/* ------------------------------------------------------------------ life */

struct schema_copy *schema_copy_new(struct ev_loop *loop, struct sync *sync, schema_handler *done,
                                    void *owner)
{
    struct schema_copy *s = mem_alloc(sizeof *s);
    struct job *jobs[] = {&s->prepare, &s->restore, &s->record};
    const struct job_type *job_types[] = {&schema_prepare_type, &restore_type, &schema_record_type};

    s->sync = sync;
    s->loop = loop;
    ev_init(&s->tell_trouble, on_tell_trouble);
    s->done = done;
    s->owner = owner;
    s->archive = s->use_list = s->earlier.archive = -1;
    ev_init(&s->earlier.forget, on_forget);
    s->child_name = s->target_options = "";
    child_init(&s->child, loop, on_child_ended, s);
    login_init(&s->login, loop, schema_login_ended, s);
    schema_list_init(&s->list);
    for (int i = 0; i < 3; i++) {
        job_init(jobs[i], loop, job_types[i], sync, sync->config->source, sync->config->target);
        jobs[i]->backoff_max_s = RETRY_MAX_S;
    }
    return s;
}

void schema_copy_free(struct schema_copy *s)
{
    if (s == NULL)
        return;
    schema_copy_stop(s);
    buf_fini(&s->earlier.exclude);
    job_fini(&s->prepare);
    job_fini(&s->restore);
    job_fini(&s->record);
    child_fini(&s->child);
    login_fini(&s->login);
    schema_list_fini(&s->list);
    schema_login_fini(&s->logins[JOB_SOURCE]);
    schema_login_fini(&s->logins[JOB_TARGET]);
    buf_fini(&s->exclude);
    buf_fini(&s->documents);
    buf_fini(&s->statements);
    json_decref(s->tables);
    arena_free(s->arena);
    free(s);
}

/* Lets a stage that was begun early go on; false when there is none, or it is to begin anew. */
static bool go_on(struct schema_copy *s, enum schema_stage stage)
{
    bool is_early = s->is_early;

    s->is_early = false;
    if (!is_early || s->running == NULL)
        return false;
    if (stage != s->stage || steady_now() - s->prepare.started_at > EARLY_MAX_S) {
        schema_copy_stop(s);
        return false;
    }
    if (job_is_at(&s->prepare, SCHEMA_HOLD))
        job_continue(&s->prepare, JOB_NEXT);
    return true;
}

bool schema_copy_may_start_early(const struct schema_copy *s)
{
    return s->running == NULL && s->is_ours;
}

void schema_copy_start_early(struct schema_copy *s)
{
    schema_copy_start(s, SCHEMA_POST);
    s->is_early = true;
}

void schema_copy_start(struct schema_copy *s, enum schema_stage stage)
{
    if (go_on(s, stage))
        return;
    s->stage = stage;
    s->then_post = false;
    s->missing = 0;
    error_clear(&s->trouble);
    s->needs_person = false;
    schema_list_fini(&s->list);
    arena_free(s->arena);
    s->arena = arena_new();
    schema_start_job(s, &s->prepare);
}

void schema_copy_stop(struct schema_copy *s)
{
    ev_timer_stop(s->loop, &s->tell_trouble);
    schema_run_stop(s);
    if (s->running)
        job_stop(s->running);
    s->is_early = false;
    forget_earlier(s);
    release(s);
}

bool schema_copy_holds_batches(const struct schema_copy *s)
{
    return s->holds_batches;
}

bool schema_copy_is_running(const struct schema_copy *s)
{
    return s->running != NULL && !s->is_early;
}

void *schema_copy_owner(const struct schema_copy *s)
{
    return s->owner;
}

/* ------------------------------------------------------------------ what there is to know */

const struct error *schema_copy_trouble(const struct schema_copy *s, bool *needs_person)
{
    if (needs_person)
        *needs_person = s->needs_person;
    return error_is_set(&s->trouble) ? &s->trouble : NULL;
}

const char *schema_copy_step(const struct schema_copy *s)
{
    if (s->running == NULL)
        return "";
    if (s->child_name[0])
        return s->child_name;
    return s->running->step ? s->running->step->name : "";
}

/* pg_restore says a line for each entry when it begins with it. */
void schema_copy_progress(struct schema_copy *s, int *done, int *todo)
{
    static const char line[] = "pg_restore: creating ";
    const char *from = s->child.errors.data;
    const char *found;

    *done = *todo = 0;
    if (s->running != &s->restore || s->child_name[0] == '\0')
        return;
    while (from && (found = strstr(from + s->scanned, line))) {
        s->counted++;
        s->scanned = (size_t)(found - from) + sizeof line - 1;
    }
    *todo = s->todo;
    *done = s->counted < s->todo ? s->counted : s->todo;
}
