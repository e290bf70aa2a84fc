/* A sync is part of a ring when its two databases are tied to each other without it, too.
 *
 * In a ring a row comes to a node on two ways. In one direction only, or with a policy that looks
 * at ends and not at times, an older change would follow a newer one round and round
 * (schema/073_chain.sql). Databases are the same when their URLs are. */
#include "config_ring.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "mem.h"

struct walk {
    const struct config *config;
    const struct config_sync *without;
    const char **reached; /* URLs */
    int count;
};

static struct config_sync *sync_of(struct list *i)
{
    return container_of(i, struct config_sync, in_config);
}

static bool takes_all(const struct config_sync *s)
{
    const struct config_patterns *p = &s->include;
    bool is_open = p->count == 0 || (p->count == 1 && strcmp(p->texts[0], "*.*") == 0);

    return is_open && s->exclude.count == 0 && s->source && s->target;
}

static bool has_reached(const struct walk *w, const char *url)
{
    for (int i = 0; i < w->count; i++)
        if (strcmp(w->reached[i], url) == 0)
            return true;
    return false;
}

/* Reaches one database more; false when there is none. */
static bool step(struct walk *w)
{
    for (struct list *i = w->config->syncs.next; i != &w->config->syncs; i = i->next) {
        const struct config_sync *s = sync_of(i);
        bool from_source, from_target;

        if (s == w->without || !takes_all(s))
            continue;
        from_source = has_reached(w, s->source->url);
        from_target = has_reached(w, s->target->url);
        if (from_source == from_target)
            continue;
        w->reached[w->count++] = from_source ? s->target->url : s->source->url;
        return true;
    }
    return false;
}

static bool is_in_ring(const struct config *c, const struct config_sync *s)
{
    struct walk w = {.config = c, .without = s, .count = 1};
    bool is_tied;
    int syncs = 1;

    for (struct list *i = c->syncs.next; i != &c->syncs; i = i->next)
        syncs++;
    w.reached = mem_alloc(sizeof *w.reached * (size_t)(syncs + 1));
    w.reached[0] = s->source->url;
    while (step(&w))
        continue;
    is_tied = has_reached(&w, s->target->url);
    free(w.reached);
    return is_tied;
}

static bool decides_by_time(const struct config_sync *s)
{
    bool good = strcmp(s->conflict_default, "latest") == 0;

    for (int i = 0; i < s->conflict_tables.count; i++)
        good &= strcmp(s->conflict_policies[i], "latest") == 0;
    return good;
}

static bool refuse(const struct config_sync *s, struct error *e, const char *hint)
{
    error_set(e, "the sync \"%s\" closes a ring of databases, in which it cannot end well",
              s->name);
    error_hint(e, "%s", hint);
    if (s->place != NULL)
        error_place(e, "%s", s->place);
    return false;
}

bool config_ring_check(const struct config *c, struct error *e)
{
    for (struct list *i = c->syncs.next; i != &c->syncs; i = i->next) {
        const struct config_sync *s = sync_of(i);

        if (!takes_all(s) || !is_in_ring(c, s))
            continue;
        if (s->mode == CONFIG_ONE_WAY)
            return refuse(
                s, e,
                "Its databases are tied to each other without it, and a row would come to "
                "one of them twice. Leave it out, or make every sync of the ring two-way.");
        if (!decides_by_time(s))
            return refuse(s, e,
                          "In a ring only the conflict policy `latest` lets all ends become equal. "
                          "Choose it for every table, or leave one sync out: a chain may have any "
                          "policy.");
    }
    return true;
}
