/* The log: one line per event on standard error.
 *
 * A line is a time and a body. What happens once more is said once more: a table that is copied
 * again within the minute has the same lines as the first time, and without them the log would end
 * with its pause, as if it stood still. What comes again and again is counted: bodies written
 * within the last minute are remembered, and one that was written a few times is only counted from
 * then on. While it goes on, the count is written with the body once a minute; also when its place
 * is needed for another.
 *
 * Always true: a line is valid UTF-8 without control characters, so that hostile names can neither
 * fake a second line nor speak to a terminal. */
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "log_write.h"
#include "mem.h"

enum { LOG_REMEMBERED = 64, LOG_MINUTE_S = 60, LOG_SAME_MAX = 3, LOG_NUMBERS = 8 };

/* A body that was written less than a minute ago; body is NULL in an unused one. */
struct log_seen {
    char *body;
    time_t since;           /* monotonic: when it was first written, or last with its count */
    int written;            /* up to LOG_SAME_MAX times, as it came */
    unsigned long repeated; /* counted since then */
};

static struct {
    enum log_format format;
    enum log_level level;
    struct log_seen seen[LOG_REMEMBERED];
    unsigned long lost; /* lines that could not be written, since one could */
} settings = {.format = LOG_TEXT, .level = LOG_INFO};

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",     [LOG_INFO] = "info",   [LOG_NOTICE] = "notice",
    [LOG_WARNING] = "warning", [LOG_ERROR] = "error",
};

/* The bytes of the character at `s` and its code; 1 and -1 when it is not valid UTF-8. */
static int decode(const unsigned char *s, long *code)
{
    static const long lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = s[0] < 0x80 ? 1 : s[0] < 0xC0 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    *code = -1;
    if (n == 0 || s[0] >= 0xF8)
        return 1;
    long c = n == 1 ? s[0] : s[0] & (0x7F >> n);
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 1;
        c = c << 6 | (s[i] & 0x3F);
    }
    bool is_surrogate = c >= 0xD800 && c <= 0xDFFF;
    if (c < lowest[n] || c > 0x10FFFF || is_surrogate)
        return 1;
    *code = c;
    return n;
}

/* Appends `s` as a JSON string. */
static void append_quoted(struct buf *b, const char *s)
{
    buf_text(b, "\"");
    const unsigned char *p = (const unsigned char *)s;
    while (*p != '\0') {
        long c;
        int n = decode(p, &c);
        if (c < 0)
            buf_text(b, "\\ufffd");
        else if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", (int)c);
        else if (c == '\n')
            buf_text(b, "\\n");
        else if (c < 0x20 || (c >= 0x7F && c < 0xA0))
            buf_printf(b, "\\u%04lx", (unsigned long)c);
        else
            buf_append(b, p, (size_t)n);
        p += n;
    }
    buf_text(b, "\"");
}

/* Whether a value can stand in a text line without quotes. */
static bool is_plain(const char *s)
{
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        bool is_special = *s <= ' ' || *s >= 0x7F || *s == '"' || *s == '=' || *s == '\\';
        if (is_special)
            return false;
    }
    return true;
}

static void append_pair(struct buf *b, const char *key, const char *value)
{
    if (value == NULL)
        return;
    bool is_json = settings.format == LOG_JSON;
    if (is_json) {
        buf_text(b, ",");
        append_quoted(b, key);
        buf_text(b, ":");
    } else {
        buf_printf(b, " %s=", key);
    }
    if (is_json || !is_plain(value))
        append_quoted(b, value);
    else
        buf_text(b, value);
}

static void append_pairs(struct buf *b, va_list args)
{
    for (const char *key; (key = va_arg(args, const char *)) != NULL;)
        append_pair(b, key, va_arg(args, const char *));
}

static void append_part(struct buf *b, const char *key, const char *text)
{
    append_pair(b, key, text[0] != '\0' ? text : NULL);
}

static void append_error(struct buf *b, const struct error *e)
{
    append_part(b, "error", e->what);
    append_part(b, "detail", e->detail);
    append_part(b, "hint", e->hint);
    append_part(b, "place", e->place);
    append_part(b, "sqlstate", e->sqlstate);
}

/* The time by which minutes are counted: it never jumps. */
static time_t monotonic_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void append_time(struct buf *b)
{
    struct timespec t;
    struct tm tm;
    char text[32];
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(b, "%s.%03ldZ", text, t.tv_nsec / 1000000);
}

static void start_body(struct buf *b, enum log_level level, const char *event)
{
    buf_init(b);
    append_pair(b, "level", level_names[level]);
    append_pair(b, "event", event);
}

/* One line in one call, so that lines of several processes do not mix. */
static bool write_one(const char *body, unsigned long repeated)
{
    bool is_there;
    bool is_json = settings.format == LOG_JSON;
    struct buf line;
    buf_init(&line);
    buf_text(&line, is_json ? "{\"time\":\"" : "time=");
    append_time(&line);
    buf_text(&line, is_json ? "\"" : "");
    buf_text(&line, body);
    if (repeated > 0)
        buf_printf(&line, is_json ? ",\"repeated\":%lu" : " repeated=%lu", repeated);
    buf_text(&line, is_json ? "}\n" : "\n");
    is_there = log_write(line.data, line.len);
    buf_fini(&line);
    return is_there;
}

/* Who reads a log must know where it has a gap. */
static void write_lost(void)
{
    struct buf body;
    start_body(&body, LOG_WARNING, "lines of this log are missing: nobody took them");
    append_pair(&body, "lines", log_int((int64_t)settings.lost));
    if (write_one(body.data, 0))
        settings.lost = 0;
    buf_fini(&body);
}

static void write_line(const char *body, unsigned long repeated)
{
    if (settings.lost > 0)
        write_lost();
    if (settings.lost > 0 || !write_one(body, repeated))
        settings.lost++;
}

/* Forgets a body; says how often it came again, if it did. */
static void forget(struct log_seen *s)
{
    if (s->repeated > 0)
        write_line(s->body, s->repeated);
    free(s->body);
    memset(s, 0, sizeof *s);
}

/* A minute has passed: what still comes goes on being counted. */
static void settle(struct log_seen *s, time_t now)
{
    if (s->repeated == 0) {
        forget(s);
        return;
    }
    write_line(s->body, s->repeated);
    s->repeated = 0;
    s->since = now;
}

static struct log_seen *find_seen(const char *body)
{
    for (int i = 0; i < LOG_REMEMBERED; i++) {
        struct log_seen *s = &settings.seen[i];
        if (s->body != NULL && strcmp(s->body, body) == 0)
            return s;
    }
    return NULL;
}

/* An unused place, or the one that was written longest ago. */
static struct log_seen *oldest_seen(void)
{
    struct log_seen *oldest = &settings.seen[0];
    for (int i = 0; i < LOG_REMEMBERED && oldest->body != NULL; i++) {
        struct log_seen *s = &settings.seen[i];
        if (s->body == NULL || s->since < oldest->since)
            oldest = s;
    }
    return oldest;
}

/* Writes or counts a body. */
static void put(const char *body)
{
    log_settle();
    struct log_seen *s = find_seen(body);
    if (s == NULL) {
        s = oldest_seen();
        forget(s);
        s->body = mem_strdup(body);
        s->since = monotonic_s();
    }
    if (s->written == LOG_SAME_MAX) {
        s->repeated++;
        return;
    }
    s->written++;
    write_line(body, 0);
}

void log_setup(enum log_format format, enum log_level level)
{
    log_forget();
    settings.format = format;
    settings.level = level;
}

void log_settle(void)
{
    time_t now = monotonic_s();
    log_write_again();
    for (int i = 0; i < LOG_REMEMBERED; i++) {
        struct log_seen *s = &settings.seen[i];
        if (s->body != NULL && now - s->since >= LOG_MINUTE_S)
            settle(s, now);
    }
}

void log_forget(void)
{
    for (int i = 0; i < LOG_REMEMBERED; i++)
        forget(&settings.seen[i]);
}

void log_event(enum log_level level, const char *event, ...)
{
    if (level < settings.level)
        return;
    struct buf body;
    start_body(&body, level, event);
    va_list args;
    va_start(args, event);
    append_pairs(&body, args);
    va_end(args);
    put(body.data);
    buf_fini(&body);
}

void log_error(enum log_level level, const char *event, const struct error *e, ...)
{
    if (level < settings.level)
        return;
    struct buf body;
    start_body(&body, level, event);
    va_list args;
    va_start(args, e);
    append_pairs(&body, args);
    va_end(args);
    append_error(&body, e);
    put(body.data);
    buf_fini(&body);
}

/* The next of a few places that are used in turn. */
static char *number_place(size_t *size)
{
    static char places[LOG_NUMBERS][32];
    static unsigned next;
    *size = sizeof places[0];
    return places[next++ % LOG_NUMBERS];
}

const char *log_int(int64_t n)
{
    size_t size;
    char *s = number_place(&size);
    snprintf(s, size, "%" PRId64, n);
    return s;
}

const char *log_seconds(double s)
{
    size_t size;
    char *text = number_place(&size);
    snprintf(text, size, "%.3f", s);
    return text;
}
