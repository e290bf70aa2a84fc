/* Reading a configuration file with libyaml's event parser.
 *
 * load_*() functions are entered with the event that begins their node in l->event and return with
 * the one that ends it there. They answer false when the error is set. Nothing is skipped: a node
 * that the table does not know is an error, so the depth of the recursion is that of the table. */
#include "config_yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config_option.h"
#include "config_pattern.h"
#include "config_rules.h"
#include "config_value.h"

/* A sync's `source: name`, to be looked up when all databases are known. */
struct yaml_reference {
    struct list in_loader;
    struct config_database **to;
    struct config_text name;
};

struct yaml_loader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; YAML_NO_EVENT before the first */
    struct config *config;
    const char *file;
    struct list references; /* struct yaml_reference */
    struct error *error;
};

static bool load_node(struct yaml_loader *l, const struct config_option *o, void *base);

/* ---------------------------------------------------------------- events and places */

static const char *place(struct yaml_loader *l, const yaml_mark_t *m)
{
    return arena_printf(l->config->arena, "%s:%zu:%zu", l->file, m->line + 1, m->column + 1);
}

/* Sets the place of the error that was just set to the current event; always false. */
static bool fail_here(struct yaml_loader *l)
{
    error_place(l->error, "%s", place(l, &l->event.start_mark));
    return false;
}

static bool fail_syntax(struct yaml_loader *l)
{
    const yaml_parser_t *p = &l->parser;
    bool has_mark = p->error != YAML_READER_ERROR && p->error != YAML_MEMORY_ERROR;
    error_set(l->error, "this is not YAML: %s", p->problem != NULL ? p->problem : "no memory");
    if (has_mark)
        error_place(l->error, "%s", place(l, &p->problem_mark));
    else
        error_place(l->error, "%s: byte %zu", l->file, p->problem_offset);
    if (p->context != NULL)
        error_detail(l->error, "%s, which begins in line %zu", p->context,
                     p->context_mark.line + 1);
    if (p->context != NULL && strstr(p->context, "alias") != NULL)
        error_hint(l->error, "A value that begins with * needs quotes: \"*.*\".");
    return false;
}

static bool advance(struct yaml_loader *l)
{
    yaml_event_delete(&l->event);
    if (!yaml_parser_parse(&l->parser, &l->event))
        return fail_syntax(l);
    if (l->event.type != YAML_ALIAS_EVENT)
        return true;
    error_set(l->error, "an alias (*name) cannot stand here");
    error_hint(l->error, "Write the value out. A value that begins with * needs quotes: \"*.*\".");
    return fail_here(l);
}

/* A scalar that stands for nothing: `key:`, `key: ~` or `key: null`. */
static bool is_null(const yaml_event_t *v)
{
    if (v->type != YAML_SCALAR_EVENT || v->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = (const char *)v->data.scalar.value;
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

/* ---------------------------------------------------------------- scalars */

static bool fail_kind(struct yaml_loader *l, const struct config_option *o, const char *kind)
{
    error_set(l->error, "%s must be %s", o != NULL ? o->path : "the file", kind);
    return fail_here(l);
}

/* The current event as a text without '\0' inside. */
static bool read_text(struct yaml_loader *l, const struct config_option *o, const char **text)
{
    if (l->event.type != YAML_SCALAR_EVENT)
        return fail_kind(l, o, "a single value, not a list or a mapping");
    if (is_null(&l->event))
        return fail_kind(l, o, "given a value: here it is empty");
    const char *value = (const char *)l->event.data.scalar.value;
    if (strlen(value) != l->event.data.scalar.length)
        return fail_kind(l, o, "a text without \\0 in it");
    *text = arena_strdup(l->config->arena, value);
    return true;
}

static bool read_value(struct yaml_loader *l, const struct config_option *o, struct config_text *t)
{
    const char *raw;
    if (!read_text(l, o, &raw))
        return false;
    t->place = place(l, &l->event.start_mark);
    if (!config_value_expand(raw, t, l->config->arena, l->error))
        return fail_here(l);
    return true;
}

/* Inside [] and {}, YAML ends a value without quotes before a brace: of ${VAR} only $ is left. */
static void hint_at_quotes(struct yaml_loader *l, const struct config_text *t)
{
    size_t n = strlen(t->text);
    if (n > 0 && t->text[n - 1] == '$' && !t->is_secret)
        error_hint(l->error, "Inside [] and {} a value with ${...} needs quotes: \"${VAR}\".");
}

static bool load_scalar(struct yaml_loader *l, const struct config_option *o, void *base)
{
    struct config_text t;
    if (!read_value(l, o, &t))
        return false;
    if (config_value_set(o, base, &t, l->config->arena, l->error))
        return true;
    hint_at_quotes(l, &t);
    return false;
}

static bool load_reference(struct yaml_loader *l, const struct config_option *o, void *base)
{
    struct yaml_reference *r = arena_alloc(l->config->arena, sizeof *r);
    if (!read_value(l, o, &r->name))
        return false;
    r->to = (struct config_database **)(void *)((char *)base + o->offset);
    list_append(&l->references, &r->in_loader);
    return true;
}

/* ---------------------------------------------------------------- mappings */

/* The key's row, unless it is unknown or was there before; `seen` has a bit per row. */
static const struct config_option *read_key(struct yaml_loader *l,
                                            const struct config_option *parent, uint64_t *seen)
{
    const char *key;
    if (!read_text(l, parent, &key))
        return NULL;
    const struct config_option *o = config_option_find(parent, key);
    if (o == NULL) {
        config_option_unknown(parent, key, l->error);
        fail_here(l);
        return NULL;
    }
    uint64_t bit = UINT64_C(1) << (o - config_options);
    if ((*seen & bit) != 0) {
        error_set(l->error, "%s is there twice", o->path);
        fail_here(l);
        return NULL;
    }
    *seen |= bit;
    return o;
}

static bool check_required(struct yaml_loader *l, const struct config_option *parent, uint64_t seen,
                           const char *at)
{
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        bool is_missing = (seen & UINT64_C(1) << (o - config_options)) == 0;
        if (!o->required || !is_missing || !config_option_is_child(o, parent))
            continue;
        error_set(l->error, "%s is missing", o->path);
        error_place(l->error, "%s", at);
        return false;
    }
    return true;
}

/* The mapping of `parent` (NULL: the whole file) into the struct at `base`. */
static bool load_mapping(struct yaml_loader *l, const struct config_option *parent, void *base)
{
    uint64_t seen = 0;
    const char *at = place(l, &l->event.start_mark);
    if (is_null(&l->event))
        return check_required(l, parent, seen, at);
    if (l->event.type != YAML_MAPPING_START_EVENT)
        return fail_kind(l, parent, "a mapping (key: value)");
    while (advance(l) && l->event.type != YAML_MAPPING_END_EVENT) {
        const struct config_option *o = read_key(l, parent, &seen);
        if (o == NULL || !advance(l) || !load_node(l, o, base))
            return false;
    }
    return !error_is_set(l->error) && check_required(l, parent, seen, at);
}

static struct config_database *find_database(struct config *c, const char *name)
{
    for (struct list *i = c->databases.next; i != &c->databases; i = i->next) {
        struct config_database *d = container_of(i, struct config_database, in_config);
        if (strcmp(d->name, name) == 0)
            return d;
    }
    return NULL;
}

static bool load_databases(struct yaml_loader *l, const struct config_option *o)
{
    if (is_null(&l->event))
        return true;
    if (l->event.type != YAML_MAPPING_START_EVENT)
        return fail_kind(l, o, "a mapping (name: {url: ...})");
    while (advance(l) && l->event.type != YAML_MAPPING_END_EVENT) {
        const char *name;
        if (!read_text(l, o, &name))
            return false;
        if (name[0] == '\0')
            return fail_kind(l, o, "given a name: here it is empty");
        if (find_database(l->config, name) != NULL) {
            error_set(l->error, "the database \"%s\" is there twice", name);
            return fail_here(l);
        }
        struct config_database *d = config_yaml_add_database(l->config, name);
        if (!advance(l) || !load_mapping(l, o, d))
            return false;
    }
    return !error_is_set(l->error);
}

/* ---------------------------------------------------------------- lists */

static bool check_sync_name(struct yaml_loader *l, const struct config_sync *s)
{
    for (struct list *i = l->config->syncs.next; i != &s->in_config; i = i->next) {
        const struct config_sync *other = container_of(i, struct config_sync, in_config);
        if (strcmp(other->name, s->name) != 0)
            continue;
        error_set(l->error, "two syncs are named \"%s\"", s->name);
        error_hint(l->error, "Give each a `name` of its own.");
        error_place(l->error, "%s", s->place);
        return false;
    }
    return true;
}

static bool load_syncs(struct yaml_loader *l, const struct config_option *o)
{
    if (is_null(&l->event))
        return true;
    if (l->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_kind(l, o, "a list (- name: ...)");
    while (advance(l) && l->event.type != YAML_SEQUENCE_END_EVENT) {
        struct config_sync *s = config_yaml_add_sync(l->config);
        s->place = place(l, &l->event.start_mark);
        if (!load_mapping(l, o, s) || !check_sync_name(l, s))
            return false;
    }
    return !error_is_set(l->error);
}

/* A list of single values; of OPTION_REFRESH also of small mappings. */
static bool load_list(struct yaml_loader *l, const struct config_option *o, void *base)
{
    if (l->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_kind(l, o, "a list ([a, b])");
    config_value_empty(o, base);
    while (advance(l) && l->event.type != YAML_SEQUENCE_END_EVENT) {
        bool is_mapping = o->type == OPTION_REFRESH && l->event.type == YAML_MAPPING_START_EVENT;
        if (is_mapping ? !load_mapping(l, o, base) : !load_scalar(l, o, base))
            return false;
    }
    return !error_is_set(l->error);
}

static bool load_policies(struct yaml_loader *l, const struct config_option *o, void *base)
{
    struct config_text pattern, policy;
    if (is_null(&l->event))
        return true;
    if (l->event.type != YAML_MAPPING_START_EVENT)
        return fail_kind(l, o, "a mapping (schema.table: policy)");
    while (advance(l) && l->event.type != YAML_MAPPING_END_EVENT) {
        if (!read_value(l, o, &pattern) || !advance(l) || !read_value(l, o, &policy) ||
            !config_value_add_policy(o, base, &pattern, &policy, l->config->arena, l->error))
            return false;
    }
    return !error_is_set(l->error);
}

/* What a rule says: one text, or a list of them. */
static bool load_rule(struct yaml_loader *l, const struct config_option *o, struct config_rule *r)
{
    struct config_text t;
    if (o->type != OPTION_LISTS) {
        if (!read_value(l, o, &t))
            return false;
        config_rule_say(r, t.text, l->config->arena);
        return o->type != OPTION_RENAMES || config_rename_check(r->pattern, t.text, l->error) ||
               fail_here(l);
    }
    if (l->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_kind(l, o, "lists of names ({\"shop.item\": [id, name]})");
    while (advance(l) && l->event.type != YAML_SEQUENCE_END_EVENT) {
        if (!read_value(l, o, &t))
            return false;
        config_rule_say(r, t.text, l->config->arena);
    }
    return !error_is_set(l->error);
}

/* A mapping from patterns to what is said about the tables they mean. */
static bool load_rules(struct yaml_loader *l, const struct config_option *o, void *base)
{
    struct config_rules *rules = (struct config_rules *)(void *)((char *)base + o->offset);
    if (is_null(&l->event))
        return true;
    if (l->event.type != YAML_MAPPING_START_EVENT)
        return fail_kind(l, o, "a mapping (\"schema.table\": ...)");
    while (advance(l) && l->event.type != YAML_MAPPING_END_EVENT) {
        const char *pattern;
        if (!read_text(l, o, &pattern))
            return false;
        if (!config_pattern_check(pattern, l->error))
            return fail_here(l);
        struct config_rule *r =
            config_rules_add(rules, pattern, place(l, &l->event.start_mark), l->config->arena);
        if (!advance(l) || !load_rule(l, o, r))
            return false;
    }
    return !error_is_set(l->error);
}

static bool load_node(struct yaml_loader *l, const struct config_option *o, void *base)
{
    switch (o->type) {
    case OPTION_GROUP:
        return load_mapping(l, o, base);
    case OPTION_DATABASES:
        return load_databases(l, o);
    case OPTION_SYNCS:
        return load_syncs(l, o);
    case OPTION_DATABASE:
        return load_reference(l, o, base);
    case OPTION_POLICIES:
        return load_policies(l, o, base);
    case OPTION_PATTERNS:
    case OPTION_REFRESH:
        return load_list(l, o, base);
    case OPTION_TEXTS:
    case OPTION_LISTS:
    case OPTION_RENAMES:
        return load_rules(l, o, base);
    case OPTION_NAME:
    case OPTION_URL:
    case OPTION_COMMAND:
    case OPTION_ADDRESS:
    case OPTION_PATH:
    case OPTION_BOOL:
    case OPTION_INT:
    case OPTION_COUNT:
    case OPTION_BYTES:
    case OPTION_RATE:
    case OPTION_DURATION:
    case OPTION_WORD:
    case OPTION_POLICY:
    case OPTION_ENUM:
        break;
    }
    return load_scalar(l, o, base);
}

/* ---------------------------------------------------------------- the file */

static bool resolve_references(struct yaml_loader *l)
{
    for (struct list *i = l->references.next; i != &l->references; i = i->next) {
        struct yaml_reference *r = container_of(i, struct yaml_reference, in_loader);
        *r->to = find_database(l->config, r->name.text);
        if (*r->to != NULL)
            continue;
        error_set(l->error, "there is no database \"%s\" among `databases`", r->name.text);
        error_place(l->error, "%s", r->name.place);
        return false;
    }
    return true;
}

static bool load_stream(struct yaml_loader *l)
{
    if (!advance(l) || !advance(l)) /* start of the stream, start of a document */
        return false;
    if (l->event.type == YAML_STREAM_END_EVENT)
        return true;
    if (!advance(l) || !load_mapping(l, NULL, l->config) || !advance(l) || !advance(l))
        return false;
    if (l->event.type == YAML_STREAM_END_EVENT)
        return resolve_references(l);
    error_set(l->error, "there is a second document in the file");
    error_hint(l->error, "Take out the line with ---.");
    return fail_here(l);
}

bool config_yaml_load(struct config *c, const char *text, size_t len, const char *name,
                      struct error *e)
{
    struct yaml_loader l = {.config = c, .file = name, .error = e};
    list_init(&l.references);
    if (!yaml_parser_initialize(&l.parser))
        abort(); /* out of memory */
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
    bool ok = load_stream(&l);
    yaml_event_delete(&l.event);
    yaml_parser_delete(&l.parser);
    return ok;
}

struct config_database *config_yaml_add_database(struct config *c, const char *name)
{
    struct config_database *d = arena_alloc(c->arena, sizeof *d);
    d->name = arena_strdup(c->arena, name);
    config_option_defaults(config_option_find(NULL, "databases"), d, c->arena);
    list_append(&c->databases, &d->in_config);
    return d;
}

struct config_sync *config_yaml_add_sync(struct config *c)
{
    struct config_sync *s = arena_alloc(c->arena, sizeof *s);
    config_option_defaults(config_option_find(NULL, "syncs"), s, c->arena);
    list_append(&c->syncs, &s->in_config);
    return s;
}
