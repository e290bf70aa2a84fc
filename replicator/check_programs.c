/* Is there a pg_dump that fits the two servers? */
#include "check_programs.h"

#include <string.h>

#include "error.h"

#define ANSWER_TIMEOUT_S 10.
enum { ANSWER_BYTES = 4096 };

/* Starts the next program that can be started; tells the owner when there is none left. */
static void ask_next(struct check_programs *p)
{
    const char *arguments[] = {"pg_dump", "--version", NULL};
    struct child_program program = {.arguments = arguments,
                                    .files = {-1, -1},
                                    .output_file = -1,
                                    .timeout_s = ANSWER_TIMEOUT_S,
                                    .output_max = ANSWER_BYTES};
    struct error ignored;

    for (; p->asked < p->tools.count; p->asked++) {
        program.path = p->tools.all[p->asked].dump;
        error_clear(&ignored);
        if (child_start(&p->child, &program, &ignored))
            return;
    }
    p->done(p);
}

static void answered(struct child *c)
{
    struct check_programs *p = c->owner;

    if (child_is_success(c))
        p->tools.all[p->asked].major = schema_tool_version(c->output.data);
    p->asked++;
    ask_next(p);
}

void check_programs_start(struct check_programs *p, struct ev_loop *loop, struct arena *a,
                          check_programs_handler *done, void *owner)
{
    memset(p, 0, sizeof *p);
    p->done = done;
    p->owner = owner;
    p->tools = schema_tools_find(a);
    child_init(&p->child, loop, answered, p);
    ask_next(p);
}

void check_programs_fini(struct check_programs *p)
{
    child_fini(&p->child);
}
