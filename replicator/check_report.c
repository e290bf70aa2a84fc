/* What a check found, gathered and printed: grouped by severity, then by code in the table's order,
 * then by end. Text from the databases is printed without control characters. */
#include "check_report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_OBJECTS = 5, WIDTH = 96 };

static const char *const side_names[JOB_SIDES] = {"source", "target"};

void check_report_init(struct check_report *r)
{
    r->arena = arena_new();
    list_init(&r->findings);
}

void check_report_fini(struct check_report *r)
{
    arena_free(r->arena);
    r->arena = NULL;
    list_init(&r->findings);
}

/* A copy that is valid UTF-8: where it is not, every byte beyond ASCII becomes "?". */
static char *valid_copy(struct arena *a, const char *s)
{
    char *copy = arena_strdup(a, s);
    json_t *j = json_string(s);

    if (j == NULL)
        for (char *p = copy; *p; p++)
            if ((unsigned char)*p >= 0x80)
                *p = '?';
    json_decref(j);
    return copy;
}

void check_report_add(struct check_report *r, enum job_side side, const char *code,
                      const char *object, const char *detail)
{
    struct check_finding *f = arena_alloc(r->arena, sizeof *f);

    f->code = check_code_find(code);
    if (f->code == NULL) {
        fprintf(stderr, "rebeco: bug: there is no check %s\n", code);
        abort();
    }
    f->side = side;
    f->object = valid_copy(r->arena, object);
    f->detail = valid_copy(r->arena, detail);
    list_append(&r->findings, &f->in_report);
}

static struct check_finding *finding_of(struct list *l)
{
    return container_of(l, struct check_finding, in_report);
}

/* The next finding of this code at this end after `f` (NULL: the first); NULL when there is none.
 */
static const struct check_finding *next_finding(const struct check_report *r,
                                                const struct check_finding *f,
                                                const struct check_code *code, enum job_side side)
{
    struct list *l = f ? f->in_report.next : r->findings.next;

    for (; l != &r->findings; l = l->next)
        if (finding_of(l)->code == code && finding_of(l)->side == side)
            return finding_of(l);
    return NULL;
}

static int count_findings(const struct check_report *r, const struct check_code *code,
                          enum job_side side)
{
    int n = 0;

    for (const struct check_finding *f = NULL; (f = next_finding(r, f, code, side)) != NULL;)
        n++;
    return n;
}

bool check_report_has(const struct check_report *r, const char *code)
{
    const struct check_code *c = check_code_find(code);

    return next_finding(r, NULL, c, JOB_SOURCE) || next_finding(r, NULL, c, JOB_TARGET);
}

int check_report_count(const struct check_report *r, enum check_severity s)
{
    int n = 0;

    for (const struct check_code *c = check_codes; c->code; c++)
        for (int side = 0; side < JOB_SIDES; side++)
            if (c->severity == s && next_finding(r, NULL, c, side))
                n++;
    return n;
}

/* ------------------------------------------------------------------ text */

static void put_clean(const char *s)
{
    for (; *s; s++)
        putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

/* Prints words, broken into lines of at most WIDTH bytes that start with `indent` spaces. */
static void put_wrapped(int indent, const char *s)
{
    int column = indent;

    printf("%*s", indent, "");
    while (*s) {
        int len = (int)strcspn(s, " ");

        if (column > indent && column + 1 + len > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", len, s);
        column += len;
        s += len;
        s += strspn(s, " ");
    }
    putchar('\n');
}

static void put_objects(const struct check_report *r, const struct check_code *code,
                        enum job_side side)
{
    const struct check_finding *f = NULL;
    int count = count_findings(r, code, side);
    int shown = 0;

    while (shown < SHOWN_OBJECTS && (f = next_finding(r, f, code, side)) != NULL) {
        printf("    - ");
        put_clean(f->object);
        printf(": ");
        put_clean(f->detail);
        putchar('\n');
        shown++;
    }
    if (count > shown)
        printf("    - and %d more\n", count - shown);
}

static void put_code(const struct check_report *r, const struct check_code *code,
                     enum job_side side)
{
    if (next_finding(r, NULL, code, side) == NULL)
        return;
    printf("\n  %s (%s)\n", code->code, side_names[side]);
    put_wrapped(4, code->means);
    put_objects(r, code, side);
    put_wrapped(4, "What to do:");
    put_wrapped(6, code->remedy);
}

static void put_severity(const struct check_report *r, enum check_severity s)
{
    static const char *const headings[CHECK_SEVERITIES] = {"Blockers", "Warnings", "Notes"};

    if (check_report_count(r, s) == 0)
        return;
    printf("%s\n", headings[s]);
    for (const struct check_code *c = check_codes; c->code; c++)
        for (int side = 0; side < JOB_SIDES; side++)
            if (c->severity == s)
                put_code(r, c, side);
    putchar('\n');
}

static void put_count(const struct check_report *r, enum check_severity s, const char *end)
{
    int n = check_report_count(r, s);

    printf("%d %s%s%s", n, check_severity_name(s), n == 1 ? "" : "s", end);
}

void check_report_print_text(const struct check_report *r)
{
    for (int s = 0; s < CHECK_SEVERITIES; s++)
        put_severity(r, s);
    put_count(r, CHECK_BLOCKER, ", ");
    put_count(r, CHECK_WARNING, ", ");
    put_count(r, CHECK_NOTE, "\n");
}

/* ------------------------------------------------------------------ JSON */

static json_t *objects_json(const struct check_report *r, const struct check_code *code,
                            enum job_side side)
{
    json_t *objects = json_array();

    for (const struct check_finding *f = NULL; (f = next_finding(r, f, code, side)) != NULL;)
        json_array_append_new(objects,
                              json_pack("{s:s, s:s}", "object", f->object, "detail", f->detail));
    return objects;
}

void check_report_print_json(const struct check_report *r, const char *sync)
{
    json_t *findings = json_array();
    json_t *doc;

    for (const struct check_code *c = check_codes; c->code; c++)
        for (int side = 0; side < JOB_SIDES; side++)
            if (next_finding(r, NULL, c, side))
                json_array_append_new(
                    findings,
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "code", c->code, "severity",
                              check_severity_name(c->severity), "side", side_names[side], "means",
                              c->means, "remedy", c->remedy, "objects", objects_json(r, c, side)));
    doc = json_pack("{s:s, s:i, s:i, s:i, s:o}", "sync", sync, "blockers",
                    check_report_count(r, CHECK_BLOCKER), "warnings",
                    check_report_count(r, CHECK_WARNING), "notes",
                    check_report_count(r, CHECK_NOTE), "findings", findings);
    json_dumpf(doc, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(doc);
}
