/* For unit tests: what the code under test writes to standard output or standard error. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct capture {
    FILE *stream; /* stdout or stderr */
    FILE *to;
    int saved;
    char *text; /* of the last capture; freed by the next one and by capture_free() */
};

/* From now on what is written to `stream` is kept. */
static inline void capture_begin(struct capture *c, FILE *stream)
{
    fflush(stream);
    c->stream = stream;
    c->to = tmpfile();
    c->saved = dup(fileno(stream));
    if (c->to == NULL || c->saved < 0 || dup2(fileno(c->to), fileno(stream)) < 0)
        abort();
}

/* Ends the keeping and gives what was written, good until the next call. */
static inline const char *capture_end(struct capture *c)
{
    fflush(c->stream);
    dup2(c->saved, fileno(c->stream));
    close(c->saved);
    long size = lseek(fileno(c->to), 0, SEEK_END);
    free(c->text);
    c->text = calloc(1, (size_t)size + 1);
    rewind(c->to);
    if (c->text == NULL || fread(c->text, 1, (size_t)size, c->to) != (size_t)size)
        abort();
    fclose(c->to);
    return c->text;
}

static inline void capture_free(struct capture *c)
{
    free(c->text);
    c->text = NULL;
}

#endif
