/* libFuzzer: any bytes as a configuration file. `make fuzz-config` runs it; the files in config/
 * are what it starts from.
 *
 * Besides not crashing: a file that is refused has an error with its place, and one that is taken
 * can be printed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config_option.h"
#include "config_value.h"
#include "config_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Prints every value of a mapping, and of the groups in it. */
static void print_all(const struct config_option *parent, const void *base)
{
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        struct buf out;
        if (!config_option_is_child(o, parent))
            continue;
        buf_init(&out);
        if (o->type == OPTION_GROUP)
            print_all(o, base);
        else
            config_value_print(o, base, &out);
        buf_fini(&out);
    }
}

/* Patterns are matched against something too. */
static void use(struct config *c)
{
    const struct config_option *databases = config_option_find(NULL, "databases");
    const struct config_option *syncs = config_option_find(NULL, "syncs");
    for (struct list *i = c->databases.next; i != &c->databases; i = i->next)
        print_all(databases, container_of(i, struct config_database, in_config));
    for (struct list *i = c->syncs.next; i != &c->syncs; i = i->next) {
        struct config_sync *s = container_of(i, struct config_sync, in_config);
        print_all(syncs, s);
        config_patterns_match(&s->include, "public", "a.b*?\"\xc3\xa9", NULL);
        config_patterns_match(&s->exclude, "", "\xff\xc3", NULL);
    }
}

/* Files named in ${file:...} may be anything, also something that never ends: left out. */
static int names_a_file(const uint8_t *data, size_t size)
{
    return memmem(data, size, "file:", 5) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error e;
    if (names_a_file(data, size))
        return 0;
    struct config *c = config_new();
    error_clear(&e);
    bool ok = config_yaml_load(c, (const char *)data, size, "fuzz.yaml", &e);
    if (ok == error_is_set(&e) || (!ok && strncmp(e.place, "fuzz.yaml:", 10) != 0))
        abort();
    if (ok)
        use(c);
    config_free(c);
    return 0;
}
