/* `status`: reads the row that the daemon writes at the target. Asks nobody, so it also works when
 * no daemon runs, and costs a running one nothing.
 *
 * To the daemon's tree it adds `running` (somebody holds the sync's lock) and `age_s`. */
#include "monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "field.h"

#define MONITOR_EVERY_S 1.

struct monitor {
    struct client client;
    const struct command_context *x;
    bool was_shown; /* it worked once: with --watch a failure is waited out */
};

static struct monitor *monitor_of(struct job *j)
{
    struct client *c = container_of(j, struct client, job);
    return container_of(c, struct monitor, client);
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, monitor_of(j)->x->sync->name);
}

static enum job_next result_look(struct job *j, PGresult *r)
{
    return client_need_installed(j, r);
}

static enum job_next fail_unknown(struct job *j)
{
    struct error e;
    error_clear(&e);
    error_set(&e, "the target does not know the sync \"%s\"", monitor_of(j)->x->sync->name);
    error_hint(&e, "`rebeco run` makes it; --sync names another one.");
    return job_fail(j, &e);
}

/* The daemon's tree, or one made of the sync's row when it has not said anything yet. */
static json_t *read_status(const struct monitor *m, const PGresult *r)
{
    const char *doc = field_or_null(r, 0, "doc"), *age = field_or_null(r, 0, "age_s");
    json_t *status = doc != NULL ? json_loads(doc, 0, NULL) : NULL;
    if (!json_is_object(status)) {
        json_decref(status);
        status =
            json_pack("{s:s, s:s, s:b}", "sync", m->x->sync->name, "phase",
                      field_or_null(r, 0, "phase"), "paused", (int)field_bool(r, 0, "is_paused"));
    }
    json_object_set_new(status, "running", json_boolean(field_bool(r, 0, "is_held")));
    if (age != NULL)
        json_object_set_new(status, "age_s", json_real(strtod(age, NULL)));
    return status;
}

static void print_status(const struct monitor *m, const json_t *status)
{
    struct buf out;
    bool is_screen = m->x->watch && !m->x->json && isatty(STDOUT_FILENO);
    if (m->x->json) {
        size_t flags = m->x->watch ? JSON_COMPACT : JSON_INDENT(2);
        json_dumpf(status, stdout, flags);
        fputc('\n', stdout);
        fflush(stdout);
        return;
    }
    buf_init(&out);
    buf_text(&out, is_screen ? "\033[H\033[J" : "");
    monitor_show(&out, status);
    fwrite(out.data, 1, out.len, stdout);
    fflush(stdout);
    buf_fini(&out);
}

static enum job_next result_read(struct job *j, PGresult *r)
{
    struct monitor *m = monitor_of(j);
    if (PQntuples(r) == 0)
        return fail_unknown(j);
    json_t *status = read_status(m, r);
    print_status(m, status);
    json_decref(status);
    m->was_shown = true;
    return m->x->watch && !ferror(stdout) ? JOB_NEXT : JOB_DONE;
}

static enum job_next enter_pause(struct job *j)
{
    return job_sleep(j, MONITOR_EVERY_S, job_goto(j, "read"));
}

static bool failed(struct job *j, const struct error *e)
{
    struct monitor *m = monitor_of(j);
    bool goes_on = m->x->watch && m->was_shown;
    if (goes_on)
        error_print(e);
    return goes_on;
}

static const struct job_step steps[] = {
    {.name = "look",
     .sql = &sql_request_look,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_look},
    {.name = "read",
     .sql = &sql_status_read,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = result_read},
    {.name = "pause", .enter = enter_pause},
    {.name = NULL},
};

static const struct job_type monitor_type = {
    .name = "status",
    .uses = {[JOB_TARGET] = true},
    .steps = steps,
    .failed = failed,
    .ended = client_ended,
};

int monitor_run(struct command_context *x)
{
    struct monitor m = {.x = x};
    struct error e;
    error_clear(&e);
    client_init(&m.client, x, &monitor_type, "target", x->sync->target);
    bool ok = client_run(&m.client, 0, &e);
    client_fini(&m.client);
    if (!ok)
        error_print(&e);
    return ok ? EXIT_DONE : EXIT_FAILED;
}
