/* Why a round needs no more memory when more rows were changed at both ends, or wider ones.
 *
 * What is decided about a row needs both of its versions, and so does its record in rebeco.conflict
 * at both ends. They are held for one page: a few keys of a slice, whose rows come to some
 * megabytes. The server that reads them ends the page there (rebeco.two_way_page), and so does the
 * one that decides, since its versions may be the wide ones; the next page begins where it has
 * ended. One row is always in it: its size is the least that a round needs.
 *
 *   details   the source's rows of a page   } again for each page,
 *   decide    the target adds its own       } and for each slice
 *   agree     the keys go to the lists that both directions read by; the records:
 *             - of a page behind which there are others: each end writes them at once
 *             - of the last one, which mostly is the only one: with the rest of the half round
 *
 * So a round with one page makes no step more than it would without pages.
 *
 * What is written at once is written in the transaction that will write the rest of that end's
 * half: rows, position and all records are committed together or not at all, as ever. The forward
 * direction opens it at the target with the first such page. The way back waits meanwhile, at
 * `decided`, since it cannot begin before all is decided; it is given the page there, opens its own
 * at the source, and comes back to wait (batch_give_page). It reads nothing that the pages wrote:
 * both its transactions are as they would have been.
 *
 * - Either direction fails, or gives up, at any moment: the other one learns it where it waits, or
 *   at the next place where both meet, and rolls back what it has. There nobody has seen a record.
 *   The next round decides anew, from what both ends are then.
 * - One end has committed and the other has not: what that one is to have is known at the first,
 *   whole, since it is one transaction there; batch_enter_recent() brings it.
 * - A page is written at an end once, for it is passed on, not copied: when it is sent, it is gone.
 *   A key is in one slice and in one page of it.
 * - Who passes a page on goes on only when its records are sent: what comes next may need no server
 *   (a slice in which there is nothing to ask), and be the end of the deciding; then the records of
 *   the last page are handed over in their place.
 * - Where a direction is closed, nothing is written at its end, and nothing opened; that end is
 * owed all of them.
 *
 * A transaction that is open for longer holds no row of the application's: it has records only.
 *
 * Foreign keys may have a say about a row whose record has been written: that is called back, in
 * the same transaction (batch_foreign_key.c). */
#include "batch_page.h"

#include <stdlib.h>
#include <string.h>

#include "batch_decide.h"
#include "batch_merge.h"
#include "batch_read.h"
#include "batch_two_way.h"
#include "two_way.h"

enum {
    PAGE_TABLES = 32,
    PAGE_KEYS = 2000, /* in the first page */
    MERGED_KEYS = 64, /* where rows are merged: all that are asked about are read before it ends */
    KEYS_MAX = 10000
};

struct batch_piece {
    struct batch_piece *before;
    const char *list;
};

/* ------------------------------------------------------------------ the keys of a page */

/* Keys are lists of texts, in a list. From the end of one to the next one, or to the list's end. */
static const char *next_key(const char *p)
{
    return p + strspn(p, ", \n");
}

static const char *key_end(const char *p)
{
    bool is_quoted = false;

    for (; *p && (is_quoted || *p != ']'); p++)
        if (*p == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && *p == '\\')
            p++;
    return *p ? p + 1 : p;
}

static bool has_keys(const struct batch_table *t)
{
    return t->keys && *next_key(t->keys + t->keys_at) == '[';
}

void batch_page_reset(struct batch_job *b)
{
    batch_page_free(b);
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        t->keys_at = 1;
        t->page = NULL;
        if (b->slice == 0) {
            t->page_keys = batch_merge_is_asked(t->table) ? MERGED_KEYS : PAGE_KEYS;
            memset(t->found, 0, sizeof t->found);
        }
    }
}

static void cut_page(struct batch_job *b, struct batch_table *t)
{
    const char *first = next_key(t->keys + t->keys_at), *end = first;

    for (t->page_count = 0; t->page_count < t->page_keys && *next_key(end) == '['; t->page_count++)
        end = key_end(next_key(end));
    t->page = arena_printf(b->page_arena, "[%.*s]", (int)(end - first), first);
    b->page_tables++;
}

void batch_page_free(struct batch_job *b)
{
    arena_free(b->page_arena);
    b->page_arena = NULL;
}

void batch_page_begin(struct batch_job *b)
{
    batch_page_free(b);
    b->page_arena = arena_new();
    b->page_tables = 0;
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        t->page = t->details[0] = t->details[1] = t->verdict = NULL;
        t->page_done = 0;
        if (has_keys(t) && b->page_tables < PAGE_TABLES)
            cut_page(b, t);
    }
}

int64_t batch_page_bytes(const struct batch_job *b)
{
    return b->page_tables > 1 ? BATCH_PAGE_BYTES / b->page_tables : BATCH_PAGE_BYTES;
}

static void go_behind(struct batch_table *t)
{
    int done = t->page_done ? t->page_done : atoi(t->details[1]);
    const char *p = t->keys + t->keys_at;

    for (int i = 0; i < done; i++)
        p = key_end(next_key(p));
    t->keys_at = (size_t)(p - t->keys);
    if (done < t->page_count)
        t->page_keys = 2 * done;
    else if (t->page_keys < KEYS_MAX)
        t->page_keys *= 2;
    t->page = t->verdict = NULL;
}

bool batch_page_end(struct batch_job *b)
{
    bool more = false;

    for (int i = 0; i < b->group_count; i++) {
        if (b->group[i].page)
            go_behind(&b->group[i]);
        more |= has_keys(&b->group[i]);
    }
    return more;
}

/* ------------------------------------------------------------------ what was found in all of them
 */

void batch_page_found(struct batch_job *b, struct batch_table *t, enum batch_list which,
                      const json_t *verdict)
{
    static const char *const names[BATCH_LISTS] = {
        [BATCH_READ] = "read",           [BATCH_KEEP] = "keep",   [BATCH_BACK_READ] = "back_read",
        [BATCH_BACK_KEEP] = "back_keep", [BATCH_MERGE] = "merge", [BATCH_BACK_MERGE] = "back_merge",
        [BATCH_PAIRS] = "pairs"};
    const json_t *list = json_object_get(verdict, names[which]);
    struct batch_piece *piece;

    if (json_array_size(list) == 0)
        return;
    piece = arena_alloc(b->arena, sizeof *piece);
    piece->list = batch_text_of(b->arena, list);
    piece->before = t->found[which];
    t->found[which] = piece;
}

const char *batch_page_all(struct arena *a, const struct batch_table *t, enum batch_list which)
{
    struct buf all = {0};
    const char *kept;

    for (const struct batch_piece *p = t->found[which]; p; p = p->before)
        buf_printf(&all, "%s%.*s", all.len ? "," : "[", (int)strlen(p->list) - 2, p->list + 1);
    if (all.len > 0)
        buf_text(&all, "]");
    kept = arena_strdup(a, all.len ? all.data : NULL);
    buf_fini(&all);
    return kept;
}

/* ------------------------------------------------------------------ its records */

void batch_begin_writing(struct batch_job *b)
{
    if (b->has_begun)
        return;
    conn_query(job_conn(&b->job, JOB_TARGET), sql_begin.text, NULL, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    b->has_begun = true;
}

static bool has_records(const struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].records)
            return true;
    return false;
}

static void write_page(struct batch_job *b)
{
    batch_begin_writing(b);
    batch_send_conflicts(b);
    for (int i = 0; i < b->group_count; i++) {
        b->group[i].has_written |= b->group[i].records != NULL;
        b->group[i].records = NULL;
    }
    batch_page_free(b);
}

/* The records of the page are in both directions' tables. */
void batch_page_pass(struct batch_job *from, struct batch_job *to)
{
    for (int i = 0; i < from->group_count; i++) {
        struct batch_table *there = batch_find_other(to, from->group[i].table);

        if (there)
            there->records = from->group[i].passed;
        from->group[i].passed = NULL;
    }
    batch_page_free(to);
    to->page_arena = from->page_arena;
    from->page_arena = NULL;
}

/* What one end is owed is told after this round. */
static enum job_next drop_page(struct batch_job *b, const char *next)
{
    batch_page_free(b);
    return job_goto(&b->job, next);
}

enum job_next batch_page_hand_over(struct batch_job *b, const char *next)
{
    struct batch_job *o = batch_other(b);
    struct arena *page = b->page_arena;

    if (!has_records(b))
        return drop_page(b, next);
    for (int i = 0; i < b->group_count; i++)
        b->group[i].passed = b->group[i].records;
    b->page_arena = NULL;
    if (b->is_closed)
        b->owes_conflicts = true;
    else
        write_page(b);
    for (int i = 0; i < b->group_count; i++)
        b->group[i].records = NULL;
    b->page_arena = page;
    if (!o->is_closed)
        return batch_give_page(b, next);
    o->owes_conflicts = true;
    return drop_page(b, next);
}

enum job_next batch_enter_page(struct job *j)
{
    struct batch_job *b = batch_of(j);
    enum job_next next;

    write_page(b);
    next = batch_sync_target(b);
    batch_page_taken(b);
    return next;
}

enum job_next batch_enter_paged(struct job *j)
{
    return job_goto(j, "decided");
}
