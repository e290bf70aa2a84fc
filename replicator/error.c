/* What went wrong, for a person.
 *
 * Always true: every text is complete UTF-8 if what was put in was: a text that is too long is cut
 * between characters. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_clear(struct error *e)
{
    e->what[0] = '\0';
    e->detail[0] = '\0';
    e->hint[0] = '\0';
    e->place[0] = '\0';
    e->sqlstate[0] = '\0';
    e->is_open = false;
}

bool error_is_set(const struct error *e)
{
    return e->what[0] != '\0';
}

/* Takes away a character of which only the first bytes fitted. */
static void cut_partial_character(char *s, size_t len)
{
    size_t start = len;
    while (start > 0 && ((unsigned char)s[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)s[start - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (len - (start - 1) < want)
        s[start - 1] = '\0';
}

static void fill(char *to, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void fill(char *to, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(to, size, format, args);
    if (n >= 0 && (size_t)n >= size)
        cut_partial_character(to, size - 1);
}

bool error_set(struct error *e, const char *format, ...)
{
    if (error_is_set(e)) {
        e->is_open = false;
        return false;
    }
    error_clear(e);
    va_list args;
    va_start(args, format);
    fill(e->what, sizeof e->what, format, args);
    va_end(args);
    if (!error_is_set(e))
        strcpy(e->what, "something failed without saying what");
    e->is_open = true;
    return false;
}

void error_detail(struct error *e, const char *format, ...)
{
    if (!e->is_open)
        return;
    va_list args;
    va_start(args, format);
    fill(e->detail, sizeof e->detail, format, args);
    va_end(args);
}

void error_hint(struct error *e, const char *format, ...)
{
    if (!e->is_open)
        return;
    va_list args;
    va_start(args, format);
    fill(e->hint, sizeof e->hint, format, args);
    va_end(args);
}

void error_place(struct error *e, const char *format, ...)
{
    if (!e->is_open)
        return;
    va_list args;
    va_start(args, format);
    fill(e->place, sizeof e->place, format, args);
    va_end(args);
}

/* Writes a text; the lines after its first are indented. Names are hostile: no escape sequences. */
static void print_text(const char *text)
{
    for (const char *s = text; *s != '\0'; s++) {
        bool is_control = (unsigned char)*s < 0x20 && *s != '\n' && *s != '\t';
        if (*s == '\n' && s[1] == '\0')
            break;
        fputc(is_control ? '?' : *s, stderr);
        if (*s == '\n')
            fputs("    ", stderr);
    }
    fputc('\n', stderr);
}

static void print_part(const char *label, const char *text)
{
    if (text[0] == '\0')
        return;
    fprintf(stderr, "  %s: ", label);
    print_text(text);
}

void error_print(const struct error *e)
{
    fputs("rebeco: ", stderr);
    print_text(e->what);
    print_part("at", e->place);
    print_part("detail", e->detail);
    print_part("sqlstate", e->sqlstate);
    print_part("hint", e->hint);
}
