/* Conflicts as a person reads them. Pure: from JSON to text.
 *
 * Always true: nothing that comes from a database reaches the terminal with control characters. */
#include <string.h>

#include "conflicts.h"
#include "monitor.h"

enum { LABEL_WIDTH = 24, VALUE_WIDTH = 38 };

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* In words, what a kind means at the target, where the list is read. */
static const char *kind_words(const char *kind)
{
    if (strcmp(kind, "insert_exists") == 0)
        return "both ends inserted it";
    if (strcmp(kind, "update_origin_differs") == 0)
        return "both ends changed it";
    if (strcmp(kind, "update_missing") == 0)
        return "the source changed it, the target removed it";
    if (strcmp(kind, "delete_origin_differs") == 0)
        return "the source removed it, the target changed it";
    if (strcmp(kind, "parent_kept") == 0)
        return "one end removed it, a row of the other refers to it";
    if (strcmp(kind, "parent_removed") == 0)
        return "it refers to a row that the other end removed";
    return kind;
}

static const char *decision_words(const char *decision)
{
    if (strcmp(decision, "source") == 0)
        return "the source's version was kept";
    if (strcmp(decision, "target") == 0)
        return "the target's version was kept";
    if (strcmp(decision, "skip") == 0)
        return "each end kept its own";
    return decision;
}

/* "2026-05-01T02:03:04.567+00:00" as a person writes it; the session's times are UTC. */
static void add_time(struct buf *b, const char *iso)
{
    for (int i = 0; i < 23 && iso[i] && iso[i] != '+'; i++)
        buf_append(b, iso[i] == 'T' ? " " : &iso[i], 1);
    buf_text(b, " UTC");
}

static void add_value(struct buf *b, const json_t *value)
{
    const char *text = json_string_value(value);

    monitor_add_clean(b, text ? text : "NULL");
}

static void add_key(struct buf *b, const json_t *doc)
{
    const json_t *key = json_object_get(doc, "key"), *value;
    size_t i;

    json_array_foreach(key, i, value)
    {
        buf_text(b, i > 0 ? ", " : "");
        add_value(b, value);
    }
}

static void add_table(struct buf *b, const json_t *doc)
{
    monitor_add_clean(b, text_of(doc, "table_schema"));
    buf_text(b, ".");
    monitor_add_clean(b, text_of(doc, "table_name"));
}

static void add_replayed(struct buf *b, const json_t *doc)
{
    buf_text(b, "given the version of the ");
    monitor_add_clean(b, text_of(doc, "replayed"));
    buf_text(b, " by ");
    monitor_add_clean(b, text_of(doc, "replayed_by"));
    buf_text(b, " at ");
    add_time(b, text_of(doc, "replayed_at"));
}

void conflicts_show_line(struct buf *b, const json_t *doc)
{
    buf_printf(b, "%8lld  ", (long long)json_integer_value(json_object_get(doc, "id")));
    add_time(b, text_of(doc, "decided_at"));
    buf_text(b, "  ");
    add_table(b, doc);
    buf_text(b, "  key ");
    add_key(b, doc);
    buf_text(b, "\n          ");
    monitor_add_clean(b, kind_words(text_of(doc, "kind")));
    buf_text(b, "; ");
    monitor_add_clean(b, decision_words(text_of(doc, "decision")));
    if (text_of(doc, "replayed")[0]) {
        buf_text(b, "; later ");
        add_replayed(b, doc);
    }
    buf_text(b, "\n");
}

/* ------------------------------------------------------------------ side by side */

static bool continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Brings what was appended since `start` to so many characters. */
static void fit(struct buf *b, size_t start, int width)
{
    size_t end = start;
    int n = 0;

    while (end < b->len && (n < width || continues(b->data[end])))
        n += !continues(b->data[end++]);
    if (end < b->len) {
        b->len = start;
        for (n = 0; n < width - 3 || continues(b->data[b->len]); b->len++)
            n += !continues(b->data[b->len]);
        buf_text(b, "...");
        n = width;
    }
    buf_printf(b, "%*s  ", width > n ? width - n : 0, "");
}

static void add_cell(struct buf *b, const json_t *row, const char *column)
{
    size_t start = b->len;

    if (json_is_object(row))
        add_value(b, json_object_get(row, column));
    else
        buf_text(b, "-");
    fit(b, start, VALUE_WIDTH);
}

static void add_label(struct buf *b, const char *mark, const char *label)
{
    size_t start = b->len;

    buf_text(b, mark);
    monitor_add_clean(b, label);
    fit(b, start, LABEL_WIDTH);
}

static void trim(struct buf *b)
{
    while (b->len > 0 && b->data[b->len - 1] == ' ')
        b->len--;
    buf_text(b, "\n");
}

static void add_column(struct buf *b, const json_t *source, const json_t *target,
                       const char *column)
{
    bool differs = !json_equal(json_object_get(source, column), json_object_get(target, column)) &&
                   json_is_object(source) && json_is_object(target);

    add_label(b, differs ? "* " : "  ", column);
    add_cell(b, source, column);
    add_cell(b, target, column);
    trim(b);
}

static void add_columns(struct buf *b, const json_t *source, const json_t *target)
{
    /* jansson's macro takes no const. */
    json_t *left = (json_t *)(uintptr_t)source, *right = (json_t *)(uintptr_t)target, *value;
    const char *column;

    json_object_foreach(left, column, value)
    {
        add_column(b, source, target, column);
    }
    json_object_foreach(right, column, value)
    {
        if (!json_object_get(source, column))
            add_column(b, source, target, column);
    }
}

static void add_head(struct buf *b, const char *label, const json_t *doc, const char *source,
                     const char *target)
{
    size_t start;

    add_label(b, "  ", label);
    start = b->len;
    if (doc)
        add_time(b, text_of(doc, source));
    else
        buf_text(b, source);
    fit(b, start, VALUE_WIDTH);
    if (doc)
        add_time(b, text_of(doc, target));
    else
        buf_text(b, target);
    trim(b);
}

static const char *presence(const json_t *row)
{
    return json_is_object(row) ? "the row was" : "the row was removed";
}

/* ------------------------------------------------------------------ one conflict */

static void add_remedy(struct buf *b, const json_t *doc)
{
    const char *decision = text_of(doc, "decision");
    bool has_loser = strcmp(decision, "source") == 0 || strcmp(decision, "target") == 0;

    buf_printf(b,
               "At the target the row is still as it was decided. This gives it the version %s, at "
               "both ends:\n  rebeco conflicts replay %lld%s\n",
               has_loser ? "that has lost" : "of one end",
               (long long)json_integer_value(json_object_get(doc, "id")),
               has_loser ? "" : " source|target");
}

static void add_now(struct buf *b, const struct conflict_view *v)
{
    buf_text(b, "\n");
    if (strcmp(v->state, "as decided") == 0) {
        add_remedy(b, v->doc);
    } else if (strcmp(v->state, "replayed") == 0) {
        buf_text(b, "The row was ");
        add_replayed(b, v->doc);
        buf_text(b, ".\n");
    } else if (strcmp(v->state, "not sent") == 0) {
        buf_text(b,
                 "The source has kept its version, and the target has its own as before: what the "
                 "source changes is\nnot sent now. It comes when the direction is opened:\n  "
                 "rebeco direction both\n");
    } else if (strcmp(v->state, "changed") == 0) {
        buf_text(b, "The row has changed since; at the target it is now:\n  ");
        monitor_add_clean(b, v->row_now ? v->row_now : "removed");
        buf_text(b, "\nSo `replay` would refuse. Write what you want by an ordinary statement, at "
                    "either end.\n");
    } else {
        buf_text(b, "Its table is in no two-way sync at the target any more.\n");
    }
}

void conflicts_show_one(struct buf *b, const struct conflict_view *v)
{
    const json_t *doc = v->doc;

    buf_printf(b, "conflict %lld, decided ",
               (long long)json_integer_value(json_object_get(doc, "id")));
    add_time(b, text_of(doc, "decided_at"));
    buf_text(b, "\ntable:    ");
    add_table(b, doc);
    buf_text(b, "\nkey:      ");
    add_key(b, doc);
    buf_text(b, "\nwhat:     ");
    monitor_add_clean(b, kind_words(text_of(doc, "kind")));
    buf_text(b, " (");
    monitor_add_clean(b, text_of(doc, "kind"));
    buf_text(b, ")\ndecision: ");
    monitor_add_clean(b, decision_words(text_of(doc, "decision")));
    buf_text(b, ", by the policy ");
    monitor_add_clean(b, text_of(doc, "policy"));
    buf_text(b, "\nbatch:    ");
    monitor_add_clean(b, text_of(doc, "batch"));
    buf_text(b, "\n\n");
    add_head(b, "", NULL, "source", "target");
    add_head(b, "changed at", doc, "source_at", "target_at");
    add_head(b, "", NULL, presence(v->source), presence(v->target));
    add_columns(b, v->source, v->target);
    add_now(b, v);
}
