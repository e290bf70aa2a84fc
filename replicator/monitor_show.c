/* The status tree as a person reads it. Pure: from JSON to text.
 *
 * Always true: nothing that comes from a database reaches the terminal with control characters. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "monitor.h"

enum { SHOW_BAR = 24, SHOW_TABLES = 40, SHOW_SKIPPED = 5, SHOW_NAME = 48 };

/* ---------------------------------------------------------------- reading the tree */

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s != NULL ? s : "";
}

static double number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static bool has_number(const json_t *o, const char *key)
{
    return json_is_number(json_object_get(o, key));
}

static bool is_true(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

/* ---------------------------------------------------------------- pieces of text */

void monitor_add_clean(struct buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        buf_append(b, c == '\n' ? " " : c < 0x20 || c == 0x7F ? "?" : s, 1);
    }
}

static void add_bytes(struct buf *b, double n)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t i = 0;
    while (n >= 1000 && i + 1 < sizeof units / sizeof units[0]) {
        n /= 1024;
        i++;
    }
    buf_printf(b, i == 0 || n >= 100 ? "%.0f %s" : "%.1f %s", n, units[i]);
}

static void add_duration(struct buf *b, double s)
{
    if (s < 10)
        buf_printf(b, s < 1 ? "%.2f s" : "%.1f s", s);
    else if (s < 120)
        buf_printf(b, "%.0f s", s);
    else if (s < 7200)
        buf_printf(b, "%.0f min", s / 60);
    else if (s < 172800)
        buf_printf(b, "%.1f h", s / 3600);
    else
        buf_printf(b, "%.1f days", s / 86400);
}

/* Seconds since 1970, as a person writes a time. */
static void add_moment(struct buf *b, double at)
{
    char text[32];
    time_t seconds = (time_t)at;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
    buf_text(b, text);
}

static void add_bar(struct buf *b, double part, double whole)
{
    double share = whole > 0 ? fmin(fmax(part / whole, 0), 1) : 0;
    int full = (int)(share * SHOW_BAR);
    char bar[SHOW_BAR + 1];
    memset(bar, '.', SHOW_BAR);
    memset(bar, '#', (size_t)full);
    bar[SHOW_BAR] = '\0';
    buf_printf(b, "[%s] %3.0f %%", bar, floor(share * 100));
}

/* "512 MB of 1.2 GB, 45 MB/s, 15 s left", as far as it is known. */
static void add_progress(struct buf *b, const json_t *o)
{
    add_bar(b, number_of(o, "bytes_done"), number_of(o, "bytes"));
    buf_text(b, "  ");
    add_bytes(b, number_of(o, "bytes_done"));
    buf_text(b, " of ");
    add_bytes(b, number_of(o, "bytes"));
    if (number_of(o, "bytes_per_s") > 0) {
        buf_text(b, ", ");
        add_bytes(b, number_of(o, "bytes_per_s"));
        buf_text(b, "/s");
    }
    if (has_number(o, "eta_s")) {
        buf_text(b, ", ");
        add_duration(b, number_of(o, "eta_s"));
        buf_text(b, " left");
    }
}

/* One indented line with a label, unless the text is empty. */
static void add_line(struct buf *b, const char *indent, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_text(b, indent);
    monitor_add_clean(b, text);
    buf_text(b, "\n");
}

/* ---------------------------------------------------------------- the sync */

/* Whoever reads that the target shows all there is must read that these are not there. */
static void add_left_out(struct buf *b, const json_t *s)
{
    const json_t *tables = json_object_get(s, "tables"), *t;
    int count = 0;
    size_t i;
    json_array_foreach(tables, i, t)
    {
        count +=
            strcmp(text_of(t, "state"), "new") == 0 && strcmp(text_of(t, "paused"), "drift") == 0;
    }
    if (count > 0)
        buf_printf(b, ", but for %d table%s without a part in the sync", count,
                   count == 1 ? "" : "s");
}

static void show_head(struct buf *b, const json_t *s)
{
    buf_text(b, "sync ");
    monitor_add_clean(b, text_of(s, "sync"));
    buf_text(b, ": ");
    monitor_add_clean(b, text_of(s, "phase"));
    if (is_true(s, "paused"))
        buf_text(b, ", paused");
    if (json_object_get(s, "consistent") != NULL)
        buf_text(b, is_true(s, "consistent")
                        ? ", the target shows one committed state of the source"
                        : ", the target is not consistent yet");
    if (is_true(s, "consistent"))
        add_left_out(b, s);
    buf_text(b, "\n");
}

static void show_daemon(struct buf *b, const json_t *s)
{
    const json_t *d = json_object_get(s, "daemon");
    if (json_is_false(json_object_get(s, "running"))) {
        buf_text(b, json_is_object(json_object_get(s, "trouble"))
                        ? "daemon: none leads now"
                        : "daemon: none runs now, or it does not reach both "
                          "servers (its log says more)");
        if (has_number(s, "age_s")) {
            buf_text(b, "; what follows was said ");
            add_duration(b, number_of(s, "age_s"));
            buf_text(b, " ago");
        }
        buf_text(b, "\n");
        return;
    }
    if (!json_is_object(d))
        return;
    buf_printf(b, "daemon: pid %.0f, version ", number_of(d, "pid"));
    monitor_add_clean(b, text_of(d, "version"));
    if (has_number(d, "peak_rss_bytes")) {
        buf_text(b, ", up to ");
        add_bytes(b, number_of(d, "peak_rss_bytes"));
        buf_text(b, " of memory");
    }
    if (has_number(d, "started_at")) {
        buf_text(b, ", since ");
        add_moment(b, number_of(d, "started_at"));
    }
    buf_text(b, "\n");
}

static void show_lag(struct buf *b, const json_t *s)
{
    const json_t *lag = json_object_get(s, "lag"), *batches = json_object_get(s, "batches");
    if (has_number(lag, "seconds")) {
        buf_text(b, "lag:    ");
        add_duration(b, number_of(lag, "seconds"));
        buf_printf(b, ", %.0f rows behind\n", number_of(lag, "rows"));
    }
    add_line(b, "  the batch waits for a lock at the target that is held by ",
             text_of(lag, "held_by"));
    if (number_of(batches, "count") > 0)
        buf_printf(b, "batches: %.0f with %.0f rows, the last took %.0f ms\n",
                   number_of(batches, "count"), number_of(batches, "rows"),
                   number_of(batches, "last_ms"));
}

static void show_log(struct buf *b, const json_t *s)
{
    const json_t *log = json_object_get(s, "log");
    if (!has_number(log, "bytes"))
        return;
    buf_text(b, "change logs: ");
    add_bytes(b, number_of(log, "bytes"));
    if (number_of(log, "limit_bytes") > 0) {
        buf_text(b, " of ");
        add_bytes(b, number_of(log, "limit_bytes"));
    }
    if (number_of(log, "oldest_s") > 0) {
        buf_text(b, ", the oldest change waits for ");
        add_duration(b, number_of(log, "oldest_s"));
    }
    buf_text(b, "\n");
    add_line(b, "  cannot be cleaned because of ", text_of(log, "held_by"));
    if (number_of(log, "bytes") > 1 << 20)
        add_line(b, "  of the syncs that read them, the last is ", text_of(log, "slowest_sync"));
}

static void show_copy(struct buf *b, const json_t *s)
{
    const json_t *copy = json_object_get(s, "copy");
    bool is_over = number_of(copy, "bytes_done") >= number_of(copy, "bytes");
    if (number_of(copy, "bytes") <= 0 || is_over)
        return;
    buf_text(b, "copy:   ");
    add_progress(b, copy);
    buf_text(b, "\n");
    if (!has_number(copy, "others_s"))
        return;
    buf_text(b, "  it waits for what other processes (run --role copier) have in hand; none has "
                "ended a part for ");
    add_duration(b, number_of(copy, "others_s"));
    buf_text(b, "\n");
}

static void show_large_objects(struct buf *b, const json_t *s)
{
    const json_t *large = json_object_get(s, "large_objects");
    double seen = number_of(large, "seen");
    const char *state = text_of(large, "state");
    if (seen <= 0 && number_of(large, "here") <= 0)
        return;
    if (strcmp(state, "ignored") == 0 || strcmp(state, "waiting") == 0) {
        buf_printf(b, "large objects: %.0f at the source, not copied\n", seen);
        return;
    }
    buf_printf(b, "large objects: %.0f at the source, ", seen);
    if (strcmp(state, "copied") == 0) {
        buf_printf(b, "%.0f at the target; changes to them are not followed\n",
                   number_of(large, "here"));
        return;
    }
    buf_printf(b, "%.0f copied so far (", number_of(large, "copied"));
    add_bytes(b, number_of(large, "bytes"));
    buf_text(b, "); changes to them are not followed\n");
}

/* ---------------------------------------------------------------- tables and problems */

/* A table that is copied and runs is only counted. */
static bool is_quiet(const json_t *t)
{
    return strcmp(text_of(t, "state"), "follow") == 0 && text_of(t, "paused")[0] == '\0' &&
           json_array_size(json_object_get(t, "skipped")) == 0;
}

/* The first rows that are left out. */
static void show_skipped(struct buf *b, const json_t *t)
{
    const json_t *list = json_object_get(t, "skipped"), *row;
    size_t i;
    if (json_array_size(list) > 0)
        buf_printf(b, "      rows left out: %zu\n", json_array_size(list));
    json_array_foreach(list, i, row)
    {
        if (i == SHOW_SKIPPED)
            break;
        add_line(b, "      key ", text_of(row, "key"));
        if (json_integer_value(json_object_get(row, "rows")) > 1)
            buf_printf(b, "        %lld such rows\n",
                       (long long)json_integer_value(json_object_get(row, "rows")));
        add_line(b, "        ", text_of(row, "error"));
    }
}

static void add_name(struct buf *b, const json_t *t)
{
    size_t start = b->len;
    monitor_add_clean(b, text_of(t, "schema"));
    buf_text(b, ".");
    monitor_add_clean(b, text_of(t, "name"));
    size_t characters = 0;
    for (size_t i = start; i < b->len; i++)
        characters += ((unsigned char)b->data[i] & 0xC0) != 0x80;
    if (characters < SHOW_NAME / 2)
        buf_printf(b, "%*s", (int)(SHOW_NAME / 2 - characters), "");
}

static void show_table(struct buf *b, const json_t *t)
{
    const char *paused = text_of(t, "paused");
    buf_text(b, "  ");
    add_name(b, t);
    buf_text(b, " ");
    if (paused[0] != '\0') {
        buf_text(b, "paused (");
        monitor_add_clean(b, paused);
        buf_text(b, ")\n");
        add_line(b, "      ", text_of(t, "what"));
        add_line(b, "      ", text_of(t, "detail"));
        add_line(b, "      to do: ", text_of(t, "hint"));
        show_skipped(b, t);
        return;
    }
    bool is_copying = strcmp(text_of(t, "state"), "copy") == 0;
    if (is_copying)
        add_progress(b, t);
    else
        monitor_add_clean(b, text_of(t, "state"));
    buf_text(b, "\n");
    show_skipped(b, t);
}

static void show_tables(struct buf *b, const json_t *s)
{
    const json_t *tables = json_object_get(s, "tables"), *t;
    size_t i, quiet = 0, shown = 0, hidden = 0, all = json_array_size(tables);
    if (all == 0)
        return;
    buf_printf(b, "tables: %zu\n", all);
    json_array_foreach(tables, i, t)
    {
        if (is_quiet(t)) {
            quiet++;
        } else if (shown < SHOW_TABLES) {
            show_table(b, t);
            shown++;
        } else {
            hidden++;
        }
    }
    if (quiet > 0)
        buf_printf(b, "  %zu follow the source\n", quiet);
    if (hidden > 0)
        buf_printf(b, "  and %zu more; --json shows all\n", hidden);
}

static void show_failing(struct buf *b, const json_t *s)
{
    const json_t *list = json_object_get(s, "failing"), *f;
    size_t i;
    json_array_foreach(list, i, f)
    {
        buf_printf(b, "fails now, tried again by itself (%.0f times so far):\n",
                   number_of(f, "failures"));
        add_line(b, "      ", text_of(f, "what"));
        add_line(b, "      ", text_of(f, "detail"));
        add_line(b, "      ", text_of(f, "hint"));
    }
}

/* Why the phase does not end: the schema cannot be copied, or only a person can help. */
static void show_trouble(struct buf *b, const json_t *s)
{
    const json_t *e = json_object_get(s, "trouble");
    if (!json_is_object(e))
        return;
    buf_text(b, "trouble:\n");
    add_line(b, "      ", text_of(e, "what"));
    add_line(b, "      ", text_of(e, "detail"));
    add_line(b, "      to do: ", text_of(e, "hint"));
}

static void show_problems(struct buf *b, const json_t *s)
{
    const json_t *problems = json_object_get(s, "problems"), *p;
    size_t i;
    if (json_array_size(problems) == 0)
        return;
    buf_printf(b, "problems: %zu\n", json_array_size(problems));
    json_array_foreach(problems, i, p)
    {
        buf_text(b, "  ");
        monitor_add_clean(b, text_of(p, "kind"));
        buf_text(b, ": ");
        monitor_add_clean(b, text_of(p, "object"));
        buf_text(b, "\n");
        add_line(b, "      ", text_of(p, "message"));
        add_line(b, "      to do: ", text_of(p, "hint"));
    }
}

static void show_schema(struct buf *b, const json_t *s)
{
    const json_t *schema = json_object_get(s, "schema");

    if (!json_is_object(schema) ||
        (text_of(schema, "step")[0] == '\0' && number_of(schema, "todo") == 0 &&
         !is_true(schema, "holds_batches")))
        return;
    buf_text(b, "schema: ");
    monitor_add_clean(b, text_of(schema, "step"));
    if (number_of(schema, "todo") > 0)
        buf_printf(b, ", %.0f of %.0f objects", number_of(schema, "done"),
                   number_of(schema, "todo"));
    if (is_true(schema, "holds_batches"))
        buf_text(b, "; changes wait until the foreign keys are there");
    buf_text(b, "\n");
}

static void show_back(struct buf *b, const json_t *s)
{
    const json_t *back = json_object_get(s, "back");
    const json_t *lag = json_object_get(json_object_get(back, "lag"), "seconds");
    if (back == NULL)
        return;
    buf_printf(b, "back: ");
    monitor_add_clean(b, text_of(back, "phase"));
    if (json_is_number(lag))
        buf_printf(b, ", %.1f s behind", json_number_value(lag));
    buf_printf(b, "; %lld conflicts decided since the start",
               (long long)json_integer_value(json_object_get(back, "conflicts")));
    if (json_is_number(json_object_get(back, "clock_ahead_s")))
        buf_printf(b, "; the target's clock is %+.3f s ahead",
                   json_number_value(json_object_get(back, "clock_ahead_s")));
    buf_text(b, "\n");
}

/* The most important thing to know when it is not as usual. */
static void show_direction(struct buf *b, const json_t *s)
{
    const json_t *d = json_object_get(s, "direction");
    const char *open = text_of(d, "open");
    bool is_forward = strcmp(open, "source-to-target") == 0;
    if (d == NULL || strcmp(open, "both") == 0)
        return;
    buf_text(b, "direction: ");
    monitor_add_clean(b, open);
    buf_text(b, " only, since ");
    monitor_add_clean(b, text_of(d, "since"));
    buf_printf(b, "\n  %.0f changes of the %s are kept in its change logs and not sent\n",
               number_of(d, "kept_changes"), is_forward ? "target" : "source");
}

void monitor_show(struct buf *out, const json_t *status)
{
    show_head(out, status);
    show_daemon(out, status);
    show_direction(out, status);
    show_trouble(out, status);
    show_failing(out, status);
    show_lag(out, status);
    show_back(out, status);
    show_log(out, status);
    show_schema(out, status);
    show_copy(out, status);
    show_large_objects(out, status);
    show_tables(out, status);
    show_problems(out, status);
}
