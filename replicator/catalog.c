/* Reads a catalog: the JSON documents of sql/catalog_relations.sql become structs. */
#include "catalog.h"

#include <stdlib.h>
#include <string.h>

static const char *take_text(struct arena *a, const json_t *object, const char *key)
{
    return arena_strdup(a, json_string_value(json_object_get(object, key)));
}

static int64_t take_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool take_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static char take_char(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s[0] : '\0';
}

static void read_column(struct arena *a, const json_t *doc, struct column *c)
{
    c->name = take_text(a, doc, "name");
    c->type = take_text(a, doc, "type");
    c->full_type = take_text(a, doc, "full_type");
    c->definition = take_text(a, doc, "definition");
    c->cast = take_text(a, doc, "cast");
    c->output = take_text(a, doc, "output");
    c->input = take_text(a, doc, "input");
    c->input_more = take_text(a, doc, "input_more");
    c->array = take_text(a, doc, "array");
    c->element_oid = (Oid)take_int(doc, "element_oid");
    c->array_oid = (Oid)take_int(doc, "array_oid");
    c->copy_cast = take_text(a, doc, "copy_cast");
    c->equals = take_text(a, doc, "equals");
    c->copy_binary = take_bool(doc, "copy_binary");
    c->is_bitwise = take_bool(doc, "is_bitwise");
    c->not_null = take_bool(doc, "not_null");
    c->needs_value = take_bool(doc, "needs_value");
    c->is_generated = take_char(doc, "generated") != '\0';
    c->is_identity_always = take_char(doc, "identity") == 'a';
}

/* Generated columns last, so that the first column_count are those that travel. */
static void read_columns(struct arena *a, const json_t *list, struct relation *r)
{
    size_t count = json_array_size(list);

    r->columns = arena_alloc(a, sizeof *r->columns * (count + 1));
    for (int generated = 0; generated <= 1; generated++)
        for (size_t i = 0; i < count; i++) {
            const json_t *doc = json_array_get(list, i);

            if ((take_char(doc, "generated") != '\0') != generated)
                continue;
            read_column(a, doc, &r->columns[r->all_count++]);
            r->column_count += !generated;
        }
}

static void read_key(struct arena *a, const json_t *list, struct relation *r)
{
    r->key_count = (int)json_array_size(list);
    r->key = arena_alloc(a, sizeof *r->key * (size_t)(r->key_count + 1));
    for (int i = 0; i < r->key_count; i++)
        r->key[i] = arena_strdup(a, json_string_value(json_array_get(list, (size_t)i)));
}

static int read_oids(struct arena *a, const json_t *list, Oid **oids)
{
    size_t count = json_array_size(list);

    *oids = arena_alloc(a, sizeof **oids * (count + 1));
    for (size_t i = 0; i < count; i++)
        (*oids)[i] = (Oid)json_integer_value(json_array_get(list, i));
    return (int)count;
}

static bool needs_quotes(const char *name)
{
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz_") == 0)
        return true;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789$")] != '\0';
}

/* A name as a person would write it in SQL. */
static const char *quoted(struct arena *a, const char *name)
{
    char *out, *p;

    if (!needs_quotes(name))
        return name;
    p = out = arena_alloc(a, 2 * strlen(name) + 3);
    *p++ = '"';
    for (; *name; name++) {
        if (*name == '"')
            *p++ = '"';
        *p++ = *name;
    }
    *p = '"';
    return out;
}

const char *catalog_label(struct arena *a, const char *schema, const char *name)
{
    return arena_printf(a, "%s.%s", quoted(a, schema), quoted(a, name));
}

static void read_relation(struct arena *a, const json_t *doc, struct relation *r)
{
    r->oid = (Oid)take_int(doc, "oid");
    r->schema = take_text(a, doc, "schema");
    r->name = take_text(a, doc, "name");
    r->target_schema = r->schema;
    r->target_name = r->name;
    r->label = r->target_label = catalog_label(a, r->schema, r->name);
    r->kind = take_char(doc, "kind");
    r->only = take_bool(doc, "only");
    r->has_rules = take_bool(doc, "has_rules");
    r->acts_on_arrivals = take_text(a, doc, "acts_on_arrivals");
    r->is_referenced = take_bool(doc, "is_referenced");
    r->has_actions = take_bool(doc, "has_actions");
    r->reference_count = read_oids(a, json_object_get(doc, "references"), &r->references);
    r->master_count = read_oids(a, json_object_get(doc, "masters"), &r->masters);
    r->has_side_cascade = take_bool(doc, "has_side_cascade");
    r->bytes = take_int(doc, "bytes");
    r->rows = take_int(doc, "rows");
    r->foreign_part = take_text(a, doc, "foreign_part");
    r->shape = take_text(a, doc, "shape");
    r->layout = take_text(a, doc, "layout");
    r->key_index = (Oid)take_int(doc, "key_index");
    r->key_immediate = take_bool(doc, "key_immediate");
    read_key(a, json_object_get(doc, "key"), r);
    read_columns(a, json_object_get(doc, "columns"), r);
}

static int compare(const void *a, const void *b)
{
    const struct relation *x = a;
    const struct relation *y = b;
    int by_schema = strcmp(x->schema, y->schema);

    return by_schema ? by_schema : strcmp(x->name, y->name);
}

struct catalog *catalog_new(const PGresult *r, struct error *e)
{
    struct arena *a = arena_new();
    struct catalog *c = arena_alloc(a, sizeof *c);

    c->arena = a;
    c->foreign_keys = "";
    c->count = PQntuples(r);
    c->relations = arena_alloc(a, sizeof *c->relations * (size_t)(c->count + 1));
    for (int i = 0; i < c->count; i++) {
        json_error_t trouble;
        json_t *doc = json_loads(PQgetvalue(r, i, 0), JSON_ALLOW_NUL, &trouble);

        if (doc == NULL) {
            error_set(e, "the catalog of the database cannot be understood");
            error_detail(e, "%s", trouble.text);
            arena_free(a);
            return NULL;
        }
        read_relation(a, doc, &c->relations[i]);
        c->foreign_keys = take_text(a, doc, "foreign_keys");
        json_decref(doc);
    }
    qsort(c->relations, (size_t)c->count, sizeof *c->relations, compare);
    return c;
}

void catalog_free(struct catalog *c)
{
    if (c)
        arena_free(c->arena);
}

const struct relation *catalog_find(const struct catalog *c, const char *schema, const char *name)
{
    struct relation wanted = {.schema = schema, .name = name};

    return bsearch(&wanted, c->relations, (size_t)c->count, sizeof *c->relations, compare);
}

const struct relation *catalog_find_oid(const struct catalog *c, Oid oid)
{
    for (int i = 0; i < c->count; i++)
        if (c->relations[i].oid == oid)
            return &c->relations[i];
    return NULL;
}

const struct relation *catalog_find_mate(const struct catalog *target, const struct relation *r)
{
    return r ? catalog_find(target, r->target_schema, r->target_name) : NULL;
}

const struct column *relation_column(const struct relation *r, const char *name)
{
    for (int i = 0; i < r->all_count; i++)
        if (strcmp(r->columns[i].name, name) == 0)
            return &r->columns[i];
    return NULL;
}

bool relation_leaves_out(const struct relation *r, const char *column)
{
    for (int i = r->all_count; i < r->all_count + r->left_out_count; i++)
        if (strcmp(r->columns[i].name, column) == 0)
            return true;
    return false;
}

bool relation_is_key(const struct relation *r, const char *column)
{
    for (int i = 0; i < r->key_count; i++)
        if (strcmp(r->key[i], column) == 0)
            return true;
    return false;
}

/* ------------------------------------------------------------------ pairs */

struct catalog_pair *catalog_pair_new(struct catalog *source, struct catalog *target)
{
    struct catalog_pair *p = mem_alloc(sizeof *p);

    p->references = 1;
    p->source = source;
    p->target = target;
    return p;
}

void catalog_pair_release(struct catalog_pair *p)
{
    if (p == NULL || --p->references > 0)
        return;
    catalog_free(p->source);
    catalog_free(p->target);
    free(p);
}
