/* Replacing ${...} in values: from the environment and from files. Never applied to its own
 * results, so that a password may hold anything. */
#include "config_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPAND_FILE_MAX = 64 * 1024 };

/* Reads a whole small file without its last line end. */
static bool read_file(const char *path, struct buf *out, struct error *e)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        error_set(e, "cannot read %s", path);
        error_detail(e, "%s", strerror(errno));
        return false;
    }
    errno = 0;
    size_t n = fread(buf_room(out, EXPAND_FILE_MAX + 1), 1, EXPAND_FILE_MAX + 1, f);
    int cause = errno;
    bool is_broken = ferror(f) != 0;
    fclose(f);
    if (is_broken) {
        error_set(e, "cannot read %s", path);
        error_detail(e, "%s", strerror(cause));
        return false;
    }
    if (n > EXPAND_FILE_MAX || memchr(out->data + out->len, '\0', n) != NULL)
        return error_set(e, "%s is not a text of at most %d bytes", path, EXPAND_FILE_MAX);
    if (n > 0 && out->data[out->len + n - 1] == '\n')
        n--;
    out->len += n;
    out->data[out->len] = '\0';
    return true;
}

static bool is_variable_name(const char *s)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *s != '\0' && strchr("0123456789", *s) == NULL && s[strspn(s, letters)] == '\0';
}

/* Appends what stands for the text between ${ and }. */
static bool put_in(const char *inner, struct buf *out, struct error *e)
{
    if (strncmp(inner, "file:", 5) == 0)
        return read_file(inner + 5, out, e);
    if (!is_variable_name(inner)) {
        error_set(e, "${%s} is neither ${VARIABLE} nor ${file:/path}", inner);
        error_hint(e, "Write $${ where ${ is meant as it stands.");
        return false;
    }
    const char *value = getenv(inner);
    if (value == NULL) {
        error_set(e, "the environment variable %s is not set", inner);
        error_hint(e, "Set it where rebeco is started; or write $${ where ${ is meant as it "
                      "stands.");
        return false;
    }
    buf_text(out, value);
    return true;
}

bool config_value_expand(const char *raw, struct config_text *t, struct arena *a, struct error *e)
{
    struct buf out;
    bool ok = true;
    buf_init(&out);
    buf_text(&out, "");
    t->is_secret = false;
    t->template = strstr(raw, "${file:") ? arena_strdup(a, raw) : NULL;
    while (ok && *raw != '\0') {
        if (strncmp(raw, "$${", 3) == 0) {
            buf_text(&out, "${");
            raw += 3;
        } else if (strncmp(raw, "${", 2) == 0) {
            const char *end = strchr(raw, '}');
            if (end == NULL) {
                ok = error_set(e, "a ${ is not closed");
                error_hint(e, "Write $${ where ${ is meant as it stands.");
                break;
            }
            char *inner = arena_printf(a, "%.*s", (int)(end - raw - 2), raw + 2);
            ok = put_in(inner, &out, e);
            t->is_secret = true;
            raw = end + 1;
        } else {
            buf_append(&out, raw++, 1);
        }
    }
    t->text = arena_strdup(a, out.data);
    buf_fini(&out);
    return ok;
}
