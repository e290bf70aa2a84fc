/* The table of contents of a pg_dump archive, and what pg_restore said while restoring it.
 *
 * What is always true: a message is given to an entry only when dump id, catalog and oid in the
 * line before it are the entry's own, so that text inside a function's body or a name with line
 * breaks cannot pass for an error of another object. */
#include "schema_list.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { ID_MAX = 20000000, PG_CLASS = 1259, PG_CONSTRAINT = 2606 };

/* The longest name that fits wins, so a type stands before another that begins like it. The
 * catalogs' oids are fixed in every server version. */
static const struct schema_type types[] = {
    {"TABLE DATA", 0, SCHEMA_LEAVE},
    {"TABLE ATTACH", 0, SCHEMA_ATTACH},
    {"TABLE", 1259, SCHEMA_CREATE},
    {"FOREIGN TABLE", 1259, SCHEMA_CREATE},
    {"VIEW", 1259, SCHEMA_CREATE},
    {"MATERIALIZED VIEW DATA", 0, SCHEMA_LEAVE}, /* refreshing is the matview job's */
    {"MATERIALIZED VIEW", 1259, SCHEMA_CREATE},
    {"SEQUENCE SET", 0, SCHEMA_LEAVE}, /* values are the sequence job's */
    {"SEQUENCE OWNED BY", 0, SCHEMA_REPEAT},
    {"SEQUENCE", 1259, SCHEMA_CREATE},
    {"INDEX ATTACH", 0, SCHEMA_REPEAT},
    {"INDEX", 1259, SCHEMA_CREATE},
    {"CONSTRAINT", 2606, SCHEMA_CREATE},
    {"CHECK CONSTRAINT", 2606, SCHEMA_CREATE},
    {"FK CONSTRAINT", 2606, SCHEMA_CREATE},
    {"DEFAULT ACL", SCHEMA_ANY, SCHEMA_LEAVE},
    {"DEFAULT", 2604, SCHEMA_CREATE},
    {"TRIGGER", 2620, SCHEMA_CREATE},
    {"RULE", 2618, SCHEMA_CREATE},
    {"POLICY", 3256, SCHEMA_CREATE},
    {"ROW SECURITY", 0, SCHEMA_REPEAT},
    {"STATISTICS DATA", SCHEMA_ANY, SCHEMA_LEAVE},
    {"STATISTICS", 3381, SCHEMA_CREATE},
    {"TYPE", 1247, SCHEMA_CREATE},
    {"DOMAIN", 1247, SCHEMA_CREATE},
    {"SHELL TYPE", 0, SCHEMA_REPEAT},
    {"FUNCTION", 1255, SCHEMA_CREATE},
    {"PROCEDURE", 1255, SCHEMA_CREATE},
    {"AGGREGATE", 1255, SCHEMA_CREATE},
    {"OPERATOR", 2617, SCHEMA_CREATE},
    {"OPERATOR CLASS", 2616, SCHEMA_CREATE},
    {"OPERATOR FAMILY", 2753, SCHEMA_CREATE},
    {"CAST", 2605, SCHEMA_CREATE},
    {"COLLATION", 3456, SCHEMA_CREATE},
    {"CONVERSION", 2607, SCHEMA_CREATE},
    {"TRANSFORM", 3576, SCHEMA_CREATE},
    {"TEXT SEARCH PARSER", 3601, SCHEMA_CREATE},
    {"TEXT SEARCH DICTIONARY", 3600, SCHEMA_CREATE},
    {"TEXT SEARCH TEMPLATE", 3764, SCHEMA_CREATE},
    {"TEXT SEARCH CONFIGURATION", 3602, SCHEMA_CREATE},
    {"SCHEMA", 2615, SCHEMA_CREATE},
    {"PROCEDURAL LANGUAGE", 2612, SCHEMA_CREATE},
    {"ACCESS METHOD", 2601, SCHEMA_CREATE},
    {"FOREIGN DATA WRAPPER", 2328, SCHEMA_CREATE},
    {"SERVER", 1417, SCHEMA_CREATE},
    {"USER MAPPING", 0, SCHEMA_REPEAT},
    {"EXTENSION", 3079, SCHEMA_SELF},
    {"COMMENT", 0, SCHEMA_REMARK},
    {"SECURITY LABEL", 0, SCHEMA_LEAVE},
    {"ACL LANGUAGE", SCHEMA_ANY, SCHEMA_LEAVE},
    {"ACL", SCHEMA_ANY, SCHEMA_LEAVE},
    {"EVENT TRIGGER", 3466, SCHEMA_NOTE},
    {"PUBLICATION TABLES IN SCHEMA", SCHEMA_ANY, SCHEMA_LEAVE},
    {"PUBLICATION TABLE", SCHEMA_ANY, SCHEMA_LEAVE},
    {"PUBLICATION", SCHEMA_ANY, SCHEMA_NOTE},
    {"SUBSCRIPTION TABLE", SCHEMA_ANY, SCHEMA_LEAVE},
    {"SUBSCRIPTION", SCHEMA_ANY, SCHEMA_NOTE},
    {"ENCODING", 0, SCHEMA_LEAVE},
    {"STDSTRINGS", 0, SCHEMA_LEAVE},
    {"SEARCHPATH", 0, SCHEMA_LEAVE},
    {"DATABASE PROPERTIES", SCHEMA_ANY, SCHEMA_LEAVE},
    {"DATABASE", SCHEMA_ANY, SCHEMA_LEAVE},
    {"BLOB METADATA", SCHEMA_ANY, SCHEMA_LEAVE},
    {"BLOB COMMENTS", SCHEMA_ANY, SCHEMA_LEAVE},
    {"BLOBS", SCHEMA_ANY, SCHEMA_LEAVE},
    {"BLOB", SCHEMA_ANY, SCHEMA_LEAVE},
};

/* ------------------------------------------------------------------ life */

void schema_list_init(struct schema_list *l)
{
    memset(l, 0, sizeof *l);
}

void schema_list_fini(struct schema_list *l)
{
    for (int i = 0; i < l->count; i++)
        free(l->entries[i].message);
    free(l->entries);
    free(l->by_id);
    arena_free(l->arena);
    memset(l, 0, sizeof *l);
}

/* ------------------------------------------------------------------ the list */

static const struct schema_type *find_type(const char *rest, unsigned class_oid)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t len = strlen(types[i].name);

        if (strncmp(rest, types[i].name, len) != 0 || rest[len] != ' ')
            continue;
        if (types[i].class_oid == class_oid || types[i].class_oid == SCHEMA_ANY)
            return &types[i];
    }
    return NULL;
}

/* Reads a number and what must follow it; moves *s behind both. */
static bool read_number(const char **s, const char *then, unsigned long max, unsigned *number)
{
    char *end;
    unsigned long n;

    if (**s < '0' || **s > '9')
        return false;
    n = strtoul(*s, &end, 10);
    if (n > max || strncmp(end, then, strlen(then)) != 0)
        return false;
    *number = (unsigned)n;
    *s = end + strlen(then);
    return true;
}

static bool read_line(const char *line, struct schema_entry *entry)
{
    unsigned id;

    memset(entry, 0, sizeof *entry);
    if (!read_number(&line, "; ", ID_MAX, &id) ||
        !read_number(&line, " ", UINT_MAX, &entry->class_oid) ||
        !read_number(&line, " ", UINT_MAX, &entry->oid))
        return false;
    entry->id = (int)id;
    entry->label = line;
    entry->type = find_type(line, entry->class_oid);
    return true;
}

static void add_entry(struct schema_list *l, const struct schema_entry *entry)
{
    if (l->count == l->size) {
        l->size = l->size ? 2 * l->size : 256;
        l->entries = mem_realloc(l->entries, (size_t)l->size * sizeof *l->entries);
    }
    l->entries[l->count] = *entry;
    l->entries[l->count].label = arena_strdup(l->arena, entry->label);
    l->count++;
}

/* ";<tab>depends on: 215 216" behind the entry's line. */
static void add_needs(struct schema_list *l, const char *line)
{
    static const char start[] = ";\tdepends on:";
    struct schema_entry *entry;
    int *needs;
    int size = 0;

    if (l->count == 0 || strncmp(line, start, sizeof start - 1) != 0)
        return;
    entry = &l->entries[l->count - 1];
    line += sizeof start - 1;
    for (const char *s = line; *s; s++)
        size += *s == ' ';
    needs = arena_alloc(l->arena, (size_t)(size + 1) * sizeof *needs);
    while (*line == ' ') {
        char *end;

        needs[entry->needs_count++] = (int)strtol(line, &end, 10);
        line = end;
    }
    entry->needs = needs;
}

static void index_entries(struct schema_list *l)
{
    int max = 0;

    for (int i = 0; i < l->count; i++)
        max = l->entries[i].id > max ? l->entries[i].id : max;
    l->by_id_size = max + 1;
    l->by_id = mem_alloc((size_t)l->by_id_size * sizeof *l->by_id);
    for (int i = 0; i < l->count; i++)
        l->by_id[l->entries[i].id] = i + 1;
}

bool schema_list_parse(struct schema_list *l, const char *text, size_t len, struct error *e)
{
    const char *end = text + len;

    schema_list_fini(l);
    l->arena = arena_new();
    while (text < end) {
        size_t line_len = strcspn(text, "\n");
        char *line = arena_printf(l->arena, "%.*s", (int)line_len, text);
        struct schema_entry entry;

        if (line[0] == ';')
            add_needs(l, line);
        else if (read_line(line, &entry))
            add_entry(l, &entry);
        else if (line[0] != '\0')
            return error_set(
                e, "pg_restore listed an archive in a form that we do not know: %.200s", line);
        text += line_len + 1;
    }
    index_entries(l);
    return true;
}

void schema_list_parse_section(struct schema_list *l, const char *text, size_t len)
{
    const char *end = text + len;

    for (int i = 0; i < l->count; i++)
        l->entries[i].is_elsewhere = true;
    while (text < end) {
        struct schema_entry line,
            *entry = read_line(text, &line) ? schema_list_find(l, line.id) : NULL;

        if (entry)
            entry->is_elsewhere = false;
        text += strcspn(text, "\n") + 1;
    }
}

struct schema_entry *schema_list_find(const struct schema_list *l, int id)
{
    if (id < 0 || id >= l->by_id_size || l->by_id[id] == 0)
        return NULL;
    return &l->entries[l->by_id[id] - 1];
}

const char *schema_entry_name(const struct schema_entry *e)
{
    return e->object ? e->object : e->label;
}

/* ------------------------------------------------------------------ what to restore */

enum schema_treatment schema_entry_treatment(const struct schema_entry *e)
{
    if (e->type)
        return e->type->treatment;
    return e->class_oid != 0 ? SCHEMA_CREATE : SCHEMA_REPEAT;
}

static bool has_need(const struct schema_list *l, const struct schema_entry *e,
                     bool (*is_so)(const struct schema_entry *))
{
    for (int i = 0; i < e->needs_count; i++) {
        const struct schema_entry *need = schema_list_find(l, e->needs[i]);

        if (need && is_so(need))
            return true;
    }
    return false;
}

static bool is_left_out(const struct schema_entry *e)
{
    return e->is_left_out;
}

static bool is_renamed(const struct schema_entry *e)
{
    return e->is_renamed;
}

static bool is_failed(const struct schema_entry *e)
{
    return e->is_failed;
}

/* Of a comment whose object is not in the archive: it belongs to something every database has, like
 * the schema public, which is not ours to describe. */
static bool has_no_object(const struct schema_list *l, const struct schema_entry *e)
{
    for (int i = 0; i < e->needs_count; i++)
        if (schema_list_find(l, e->needs[i]))
            return false;
    return e->needs_count > 0;
}

static void decide(const struct schema_list *l, struct schema_entry *e)
{
    switch (schema_entry_treatment(e)) {
    case SCHEMA_CREATE:
        break;
    case SCHEMA_SELF:
    case SCHEMA_LEAVE:
    case SCHEMA_NOTE:
        e->is_left_out = true;
        break;
    case SCHEMA_REMARK:
        e->is_left_out = e->is_left_out || has_no_object(l, e) || has_need(l, e, is_left_out);
        break;
    case SCHEMA_REPEAT:
    case SCHEMA_ATTACH:
        e->is_left_out = e->is_left_out || has_need(l, e, is_left_out);
        e->is_there = e->is_there || (e->class_oid == 0 && has_need(l, e, is_renamed));
        break;
    }
}

void schema_list_decide(struct schema_list *l)
{
    for (int i = 0; i < l->count; i++)
        decide(l, &l->entries[i]);
}

bool schema_entry_is_wanted(const struct schema_entry *e)
{
    return !e->is_elsewhere && !e->is_left_out && !e->is_there;
}

static bool is_foreign_key(const struct schema_entry *e)
{
    return e->type && strcmp(e->type->name, "FK CONSTRAINT") == 0;
}

bool schema_entry_is_foreign_key(const struct schema_list *l, const struct schema_entry *e)
{
    return is_foreign_key(e) || has_need(l, e, is_foreign_key);
}

int schema_list_print(const struct schema_list *l, bool with_foreign_keys, struct buf *out)
{
    int count = 0;

    for (int i = 0; i < l->count; i++) {
        const struct schema_entry *e = &l->entries[i];

        if (!schema_entry_is_wanted(e))
            continue;
        if (!with_foreign_keys && schema_entry_is_foreign_key(l, e))
            continue;
        buf_printf(out, "%d;\n", e->id);
        count++;
    }
    return count;
}

/* ------------------------------------------------------------------ what pg_restore said */

static const char *after(const char *line, const char *start)
{
    size_t len = strlen(start);

    return strncmp(line, start, len) == 0 ? line + len : NULL;
}

/* The words are libpq's own, so they are English; a server's error has its severity before it. */
static bool is_about_connection(const char *message)
{
    static const char *const starts[] = {"FATAL:",
                                         "PANIC:",
                                         "server closed the connection",
                                         "no connection to the server",
                                         "connection to server",
                                         "connection not open",
                                         "SSL connection has been closed",
                                         "SSL SYSCALL error",
                                         "SSL error",
                                         "could not receive data from server",
                                         "could not send data to server"};

    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (after(message, starts[i]))
            return true;
    return strstr(message, "\nserver closed the connection unexpectedly") != NULL;
}

/* The length of a message: up to the line that repeats the command, or that begins the next. */
static size_t message_len(const char *s)
{
    const char *start = s;

    for (;;) {
        s += strcspn(s, "\n");
        if (*s == '\0')
            return (size_t)(s - start);
        if (after(s, "\nCommand was: ") || after(s, "\npg_restore: "))
            return (size_t)(s - start);
        s++;
    }
}

/* Takes the error that begins at s; returns how long it is. */
static size_t take_message(struct schema_entry *entry, const char *s, struct schema_report *r)
{
    size_t len = message_len(s);
    const char *words = after(s, "could not execute query: ");
    const char *plain;
    char *message;

    words = words ? words : s;
    plain = after(words, "ERROR:  ");
    plain = plain ? plain : words;
    message = mem_alloc(len + 1);
    memcpy(message, plain, len - (size_t)(plain - s));
    r->is_lost = r->is_lost || (words != s && plain == words && is_about_connection(message));
    if (entry && entry->message == NULL) {
        entry->message = message;
        return len;
    }
    buf_printf(&r->general, "%s\n", message);
    free(message);
    return len;
}

/* "215; 1259 16386 TABLE orders owner": the entry, when all three numbers are its own. */
static struct schema_entry *entry_of_line(const struct schema_list *l, const char *line)
{
    struct schema_entry said, *entry;

    if (!read_line(line, &said))
        return NULL;
    entry = schema_list_find(l, said.id);
    if (entry == NULL || entry->class_oid != said.class_oid || entry->oid != said.oid)
        return NULL;
    return entry;
}

void schema_list_parse_errors(struct schema_list *l, const char *text, struct schema_report *r)
{
    struct schema_entry *entry = NULL;

    r->ignored = -1;
    r->is_lost = false;
    while (text && *text) {
        const char *said = after(text, "pg_restore: ");
        const char *rest;

        if (said && (rest = after(said, "from TOC entry "))) {
            struct schema_entry *next = entry_of_line(l, rest);

            entry = next ? next : entry;
        } else if (said && (rest = after(said, "error: "))) {
            text = rest + take_message(entry, rest, r);
        } else if (said && (rest = after(said, "warning: errors ignored on restore: "))) {
            r->ignored = atoi(rest);
        }
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
}

bool schema_entry_failed_for_lock(const struct schema_entry *e)
{
    static const char *const starts[] = {
        "deadlock detected", "canceling statement due to lock timeout", "could not obtain lock"};

    for (size_t i = 0; e->message && i < sizeof starts / sizeof *starts; i++)
        if (after(e->message, starts[i]))
            return true;
    return false;
}

/* ------------------------------------------------------------------ the verdict */

static bool has_failed(const struct schema_list *l, const struct schema_entry *e)
{
    if (schema_entry_treatment(e) == SCHEMA_SELF)
        return !e->is_elsewhere && e->is_known && !e->is_there;
    if (!schema_entry_is_wanted(e))
        return false;
    if (e->is_known)
        return true;
    /* What only completes an object that could not be created is part of that failure. */
    return e->message && !strstr(e->message, "already exists") && !has_need(l, e, is_failed);
}

int schema_list_judge(struct schema_list *l)
{
    int failed = 0;

    for (int i = 0; i < l->count; i++) {
        struct schema_entry *e = &l->entries[i];

        e->is_failed = has_failed(l, e) && schema_entry_treatment(e) != SCHEMA_REMARK;
        failed += e->is_failed;
    }
    return failed;
}
