/* The first steps of a stage: which tables belong to the sync, which of them the target has, and
 * what follows from that for the option `schema`. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "schema_work.h"
#include "sync.h"

static struct schema_copy *of_prepare(struct job *j)
{
    return container_of(j, struct schema_copy, prepare);
}

enum job_next schema_decide_looked(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);

    if (s->sync->config->schema == CONFIG_SCHEMA_EXPECT)
        return JOB_DONE;
    s->is_decided = PQntuples(r) > 0;
    s->is_ours = s->is_decided;
    if (s->stage == SCHEMA_POST && !s->is_decided)
        return JOB_DONE;
    if (s->stage == SCHEMA_POST && PQgetvalue(r, 0, 0)[0] != 't') {
        s->stage = SCHEMA_PRE; /* it was broken off when all tables were there already */
        s->then_post = true;
    }
    return JOB_NEXT;
}

/* The rows from `first` on that are about the same table. */
static int group_end(const PGresult *r, int first)
{
    int i = first;

    while (i < PQntuples(r) && strcmp(PQgetvalue(r, i, 0), PQgetvalue(r, first, 0)) == 0)
        i++;
    return i;
}

static bool is_group_selected(const struct schema_copy *s, const PGresult *r, int first, int end)
{
    for (int i = first; i < end; i++)
        if (strcmp(PQgetvalue(r, i, 1), "match") == 0 &&
            config_takes_table(s->sync->config, PQgetvalue(r, i, 2), PQgetvalue(r, i, 3)))
            return true;
    return false;
}

static void take_group(struct schema_copy *s, const PGresult *r, int first, int end)
{
    bool selected = is_group_selected(s, r, first, end);

    for (int i = first; i < end; i++) {
        if (!selected && !PQgetisnull(r, i, 4))
            buf_append(&s->exclude, PQgetvalue(r, i, 4), strlen(PQgetvalue(r, i, 4)) + 1);
        if (selected && strcmp(PQgetvalue(r, i, 1), "table") == 0)
            json_array_append_new(s->tables,
                                  json_pack("[ss]", PQgetvalue(r, i, 2), PQgetvalue(r, i, 3)));
    }
}

enum job_next schema_decide_listed(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);
    int end;

    for (int first = 0; first < PQntuples(r); first = end) {
        end = group_end(r, first);
        take_group(s, r, first, end);
    }
    return JOB_NEXT;
}

void schema_decide_bind(struct job *j, struct params *p)
{
    struct schema_copy *s = of_prepare(j);
    char *text = json_dumps(s->tables, JSON_COMPACT);

    params_text(p, arena_strdup(j->arena, text));
    free(text);
}

static enum job_next fail_partly_there(struct schema_copy *s, const PGresult *r)
{
    struct error e;

    error_clear(&e);
    error_set(&e, "The target has some of the tables and lacks others, so it is not clear whether "
                  "its schema is to be copied");
    error_detail(&e, "%s tables are there (%s, for example), %s are missing (%s, for example).",
                 PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 3), PQgetvalue(r, 0, 1),
                 PQgetvalue(r, 0, 2));
    error_hint(&e, "Set `schema: copy` to create what is missing, `schema: expect` to leave the "
                   "target's schema alone, or empty the target.");
    return schema_fail_for_person(s, &e);
}

enum job_next schema_decide(struct job *j, PGresult *r)
{
    struct schema_copy *s = of_prepare(j);
    bool any_there = atoll(PQgetvalue(r, 0, 0)) > 0;
    bool any_missing = atoll(PQgetvalue(r, 0, 1)) > 0;

    if (s->is_decided || s->sync->config->schema == CONFIG_SCHEMA_COPY)
        return JOB_NEXT;
    if (any_there && any_missing)
        return fail_partly_there(s, r);
    return any_there || !any_missing ? JOB_DONE : JOB_NEXT;
}
