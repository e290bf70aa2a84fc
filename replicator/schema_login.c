/* Steps of the schema copy: how pg_dump and pg_restore log in, found out right before they run, so
 * that a password that changes or a token that lives for minutes is the one of now. */
#include "schema_work.h"

#include "config.h"
#include "sync.h"

/* The lookup has ended: the answer of the step. */
static enum job_next take(struct schema_copy *s)
{
    struct job *j = s->running;
    struct schema_login *to = &s->logins[s->login_side];
    struct error e;
    bool is_good;

    if (error_is_set(&s->login.error))
        return job_fail(j, &s->login.error);
    error_clear(&e);
    schema_login_fini(to);
    is_good = schema_login_init(to, s->login.url, s->login.password,
                                arena_printf(j->arena, "rebeco %s schema", s->sync->name),
                                s->sync->config->network_timeout_s, &e);
    login_clear(&s->login);
    if (is_good && s->login_side == JOB_TARGET && s->target_options[0])
        schema_login_add_options(to, s->target_options);
    return is_good ? JOB_NEXT : schema_fail_for_person(s, &e);
}

void schema_login_ended(struct login *l)
{
    struct schema_copy *s = l->owner;
    struct job *j = s->running;
    enum job_next next = take(s);

    if (next != JOB_FAILED)
        job_continue(j, next);
}

static enum job_next look_up(struct schema_copy *s, enum job_side side)
{
    const struct job *j = s->running;

    s->login_side = side;
    if (login_start(&s->login, j->databases[side], s->sync->config->network_timeout_s))
        return take(s);
    return JOB_WAIT;
}

enum job_next schema_enter_source_login(struct job *j)
{
    return look_up(container_of(j, struct schema_copy, prepare), JOB_SOURCE);
}

enum job_next schema_enter_target_login(struct job *j)
{
    return look_up(container_of(j, struct schema_copy, restore), JOB_TARGET);
}
