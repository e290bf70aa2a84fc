/* Parameters of a statement: arrays as libpq wants them, grown as needed and used again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "conn.h"
#include "mem.h"

static int params_add(struct params *p)
{
    if (p->count == p->size) {
        int size = p->size ? 2 * p->size : 16;
        size_t n = (size_t)size;

        p->values = mem_realloc(p->values, n * sizeof *p->values);
        p->lengths = mem_realloc(p->lengths, n * sizeof *p->lengths);
        p->formats = mem_realloc(p->formats, n * sizeof *p->formats);
        p->types = mem_realloc(p->types, n * sizeof *p->types);
        p->numbers = mem_realloc(p->numbers, n * sizeof *p->numbers);
        /* Values may point into numbers, which has just moved. */
        for (int i = 0; i < p->count; i++)
            if (p->lengths[i] < 0)
                p->values[i] = p->numbers[i];
        p->size = size;
    }
    p->values[p->count] = NULL;
    p->lengths[p->count] = 0;
    p->formats[p->count] = 0;
    p->types[p->count] = 0;
    return p->count++;
}

void params_clear(struct params *p)
{
    p->count = 0;
}

void params_fini(struct params *p)
{
    free(p->values);
    free(p->lengths);
    free(p->formats);
    free(p->types);
    free(p->numbers);
    *p = (struct params){0};
}

void params_text(struct params *p, const char *value)
{
    int i = params_add(p);

    p->values[i] = value;
}

void params_int(struct params *p, int64_t value)
{
    int i = params_add(p);

    snprintf(p->numbers[i], sizeof p->numbers[i], "%" PRId64, value);
    p->values[i] = p->numbers[i];
    p->lengths[i] = -1; /* marks that the value is ours; libpq looks at it for binary only */
}

void params_bool(struct params *p, bool value)
{
    params_text(p, value ? "t" : "f");
}

void params_binary(struct params *p, const void *bytes, int len, Oid type)
{
    int i = params_add(p);

    p->values[i] = bytes;
    p->lengths[i] = len;
    p->formats[i] = 1;
    p->types[i] = type;
}
