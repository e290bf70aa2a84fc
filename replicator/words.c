/* Splitting a command line without a shell. */
#include "words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One word from *text, unquoted, appended to `out`; *text is behind it then. False when a quote is
 * open at the end. */
static bool take_word(const char **text, char *out)
{
    const char *s = *text;
    char quote = '\0';

    for (; *s && (quote || !isspace((unsigned char)*s)); s++) {
        bool is_escape = *s == '\\' && quote != '\'' && s[1];

        if (quote && *s == quote)
            quote = '\0';
        else if (!quote && (*s == '\'' || *s == '"'))
            quote = *s;
        else if (is_escape && (!quote || s[1] == '"' || s[1] == '\\'))
            *out++ = *++s;
        else
            *out++ = *s;
    }
    *out = '\0';
    *text = s;
    return quote == '\0';
}

const char **words_split(struct arena *a, const char *text, struct error *e)
{
    size_t len = strlen(text), count = 0;
    const char **words = arena_alloc(a, (len / 2 + 2) * sizeof *words);
    char *room = arena_alloc(a, 2 * len + 2);

    for (;;) {
        text += strspn(text, " \t\r\n\v\f");
        if (*text == '\0')
            break;
        if (!take_word(&text, room)) {
            error_set(e, "a quote in a command is not closed");
            return NULL;
        }
        words[count++] = room;
        room += strlen(room) + 1;
    }
    if (count > 0 && words[0][0] != '\0')
        return words;
    error_set(e, "a command is empty");
    return NULL;
}

static bool is_program(const char *path)
{
    return path[0] != '\0' && access(path, X_OK) == 0;
}

const char *words_program(struct arena *a, const char *name, struct error *e)
{
    const char *path = getenv("PATH");

    if (strchr(name, '/') && is_program(name))
        return name;
    for (path = path ? path : "/usr/bin:/bin"; !strchr(name, '/') && *path; path += *path == ':') {
        size_t len = strcspn(path, ":");
        const char *one = arena_printf(a, "%.*s/%s", (int)len, path, name);

        if (len > 0 && is_program(one))
            return one;
        path += len;
    }
    error_set(e, "there is no program %s that can be run here", name);
    error_hint(e, "Install it, or write its whole path. A shell is not used: where you need one, "
                  "write sh -c '...'.");
    return NULL;
}
