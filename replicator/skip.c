/* Rows left out are few, and kept as an array at their table.
 *
 * With a key, the batch that changes such a row shows it, as it is now or as gone. A TRUNCATE names
 * no key: what was left out is gone with it, unless a row that looks the same comes after it.
 *
 * Why rows without a key are counted right. Let S be the multiset of the source's rows in a
 * table's position, T that of the target, K the rows left out, with their numbers: `copies` in
 * rebeco.skipped. Always S = T + K.
 * - A batch is the difference D of two S (schema/060_image.sql), and every row of it goes into T or
 *   into K: one more of an image that is left out makes K larger, and one less takes from K while
 *   it has some, then from T. T has it then: S had it, and K no more. So T + K grows by D. Both are
 *   written by the transaction that moves the position: a crash leaves all three or none, and a
 *   batch that is made again begins with the numbers of before (skip_begin).
 * - A TRUNCATE makes D all of the new S: then T and K are emptied first.
 * - `skip` adds an entry of none: T + K stays. The batch that was refused is made again, and finds
 *   it. An entry that has come down to none with a batch is settled: it is asked for anew.
 * - `retry` moves rows from K to T in one transaction of its own, at any time: T + K stays. A batch
 *   in hand that has counted on these numbers must not write its own: what it writes names the
 *   numbers that it began with, and fails where they are others. That is why an entry stays in
 *   memory, void, until that batch is through.
 * - A row that is to be removed and refused cannot be left out: K would be less than none.
 * Rows are one when the bytes are the same in which batches read them. Should a type have two such
 * forms of one text, a removal misses K and fails at T, which says so; nothing is lost silently. */
#include "skip.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "buf.h"
#include "field.h"
#include "mem.h"
#include "sync.h"

/* ------------------------------------------------------------------ hashes */

/* FNV-1a with two starting values: rows are told apart from their own other versions only. */
struct hash {
    uint64_t a;
    uint64_t b;
};

static void hash_bytes(struct hash *h, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i++) {
        h->a = (h->a ^ p[i]) * 1099511628211u;
        h->b = (h->b ^ (unsigned char)(p[i] + 113)) * 1099511628211u;
    }
}

static void hash_field(struct hash *h, const PGresult *r, int field)
{
    int32_t len = PQgetisnull(r, 0, field) ? -1 : PQgetlength(r, 0, field);

    hash_bytes(h, &len, sizeof len);
    if (len > 0)
        hash_bytes(h, PQgetvalue(r, 0, field), (size_t)len);
}

static void hash_write(const struct hash *h, char *text)
{
    snprintf(text, SKIP_HASH_SIZE, "%016llx%016llx", (unsigned long long)h->a,
             (unsigned long long)h->b);
}

static const struct hash hash_start = {14695981039346656037u, 10953029130811390201u};

/* Whether a row without a key comes or goes is no part of it. */
static void hash_image(const struct table *t, const PGresult *r, char *text)
{
    struct hash h = hash_start;

    for (int i = 1; i <= t->source->column_count; i++)
        hash_field(&h, r, i);
    hash_write(&h, text);
}

static void hash_key(const struct table *t, const PGresult *r, char *text)
{
    const struct relation *rel = t->source;
    struct hash h = hash_start;

    for (int k = 0; k < rel->key_count; k++)
        hash_field(&h, r, 1 + (int)(relation_column(rel, rel->key[k]) - rel->columns));
    hash_write(&h, text);
}

void skip_hash(const struct table *t, const PGresult *r, char *key_hash, char *row_hash)
{
    struct hash h = hash_start;

    if (t->records == TABLE_IMAGE) {
        hash_image(t, r, key_hash);
        memcpy(row_hash, key_hash, SKIP_HASH_SIZE);
        return;
    }
    hash_key(t, r, key_hash);
    for (int i = 0; i <= t->source->column_count; i++)
        hash_field(&h, r, i);
    hash_write(&h, row_hash);
}

/* ------------------------------------------------------------------ while batches run */

static struct skip *find(struct table *t, const char *key_hash)
{
    for (int i = 0; i < t->skip_count; i++)
        if (!t->skips[i].is_void && strcmp(t->skips[i].key_hash, key_hash) == 0)
            return &t->skips[i];
    return NULL;
}

static bool skip_image(struct table *t, const PGresult *r)
{
    char hash[SKIP_HASH_SIZE];
    struct skip *s;

    hash_image(t, r, hash);
    s = find(t, hash);
    if (s == NULL || (PQgetisnull(r, 0, 0) && s->copies + s->pending <= 0))
        return false;
    s->pending += PQgetisnull(r, 0, 0) ? -1 : 1;
    s->is_touched = true;
    return true;
}

bool skip_row(struct table *t, const PGresult *r, bool settles)
{
    char key_hash[SKIP_HASH_SIZE], row_hash[SKIP_HASH_SIZE];

    if (t->records == TABLE_IMAGE)
        return skip_image(t, r);
    hash_key(t, r, key_hash);
    for (int i = 0; i < t->skip_count; i++) {
        struct skip *s = &t->skips[i];

        if (strcmp(s->key_hash, key_hash) != 0)
            continue;
        skip_hash(t, r, key_hash, row_hash);
        if (strcmp(s->row_hash, row_hash) == 0) {
            if (settles)
                s->is_settled = s->is_nothing; /* after a TRUNCATE the same row has come again */
            return true;
        }
        s->is_settled |= settles;
        return false;
    }
    return false;
}

void skip_cleared(struct table *t)
{
    for (int i = 0; i < t->skip_count; i++) {
        t->skips[i].is_settled = t->records != TABLE_IMAGE;
        t->skips[i].pending = -t->skips[i].copies;
        t->skips[i].is_touched = true;
    }
}

static void free_skip(struct skip *s)
{
    free(s->key);
    free(s->error);
    free(s->at);
}

static void forget(struct table *t, bool void_only)
{
    int kept = 0;

    for (int i = 0; i < t->skip_count; i++) {
        if (t->skips[i].is_void || (!void_only && t->skips[i].is_settled))
            free_skip(&t->skips[i]);
        else
            t->skips[kept++] = t->skips[i];
    }
    t->skip_count = kept;
}

void skip_begin_table(struct table *t)
{
    for (int i = 0; i < t->skip_count; i++) {
        t->skips[i].is_settled = t->skips[i].is_touched = false;
        t->skips[i].pending = 0;
    }
}

void skip_begin(struct sync *s)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        skip_begin_table(t);
        forget(t, true);
    }
}

void skip_settled(struct table *t)
{
    forget(t, false);
    for (int i = 0; i < t->skip_count; i++)
        t->skips[i].copies += t->skips[i].pending;
    skip_begin_table(t);
}

static void add_number(struct buf *b, int64_t n)
{
    buf_printf(b, "%s%lld", b->len ? "," : "{", (long long)n);
}

/* Without a key, what has come down to none is settled, and so is what was to be left out and did
 * not come. */
static bool is_sent(const struct table *t, struct skip *s)
{
    if (t->records != TABLE_IMAGE)
        return s->is_settled;
    s->is_settled = s->copies + s->pending == 0;
    return s->is_touched || (s->is_settled && !s->is_void);
}

static void send_settled(struct batch_job *b, const struct table *t)
{
    struct params *p = &b->job.params;
    struct buf hashes = {0}, before = {0}, after = {0};

    for (int i = 0; i < t->skip_count; i++) {
        struct skip *s = &t->skips[i];

        if (!is_sent(t, s))
            continue;
        buf_printf(&hashes, "%s%s", hashes.len ? "," : "{", s->key_hash);
        add_number(&before, s->copies);
        add_number(&after, s->copies + s->pending);
    }
    if (hashes.len > 0) {
        buf_text(&hashes, "}");
        buf_text(&before, "}");
        buf_text(&after, "}");
        params_clear(p);
        params_text(p, b->sync->name);
        params_int(p, t->id);
        params_text(p, hashes.data);
        params_text(p, t->records == TABLE_IMAGE ? before.data : NULL);
        params_text(p, after.data);
        conn_query(job_conn(&b->job, JOB_TARGET), sql_skip_settle.text, p, CONN_TEXT, 60.);
        apply_sent_other(&b->apply);
    }
    buf_fini(&hashes);
    buf_fini(&before);
    buf_fini(&after);
}

void skip_send_settled(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].changes > 0 && b->group[i].table->skip_count > 0)
            send_settled(b, b->group[i].table);
}

/* ------------------------------------------------------------------ the list */

static struct skip *add(struct table *t)
{
    t->skips = mem_realloc(t->skips, sizeof *t->skips * (size_t)(t->skip_count + 1));
    memset(&t->skips[t->skip_count], 0, sizeof *t->skips);
    return &t->skips[t->skip_count++];
}

void skip_take_list(struct sync *s, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(s, field_int(r, i, "table_id"));
        struct skip *k = t ? add(t) : NULL;

        if (k == NULL)
            continue;
        k->key = mem_strdup(field_text(r, i, "key"));
        k->error = mem_strdup(field_text(r, i, "error"));
        snprintf(k->key_hash, sizeof k->key_hash, "%s", field_text(r, i, "key_hash"));
        snprintf(k->row_hash, sizeof k->row_hash, "%s", field_text(r, i, "row_hash"));
        k->at = mem_strdup(field_text(r, i, "skipped_at"));
        k->copies = field_int64(r, i, "copies");
    }
}

int skip_take_retried(struct table *t, const PGresult *r, int *refused)
{
    *refused = 0;
    for (int i = 0; i < PQntuples(r); i++) {
        struct skip *s = find(t, field_text(r, i, "key_hash"));

        *refused += !field_is_null(r, i, "error");
        if (s && field_is_null(r, i, "error"))
            s->is_void = true;
    }
    return PQntuples(r);
}

static struct skip *add_in_place(struct table *t, const struct poison *p)
{
    struct skip *k;

    for (int i = 0; t->records == TABLE_KEY && i < t->skip_count; i++)
        t->skips[i].is_settled =
            strcmp(t->skips[i].key_hash, p->key_hash) == 0; /* another version of the same row */
    forget(t, false);
    k = add(t);
    memcpy(k->key_hash, p->key_hash, sizeof k->key_hash);
    memcpy(k->row_hash, p->row_hash, sizeof k->row_hash);
    k->key = mem_strdup(p->key);
    k->error = mem_strdup(p->error);
    return k;
}

void skip_add(struct table *t)
{
    add_in_place(t, t->poison);
    skip_set_poison(t, NULL);
}

void skip_add_nothing(struct table *t, const struct poison *p)
{
    add_in_place(t, p)->is_nothing = true;
}

void skip_clear(struct table *t)
{
    for (int i = 0; i < t->skip_count; i++)
        free_skip(&t->skips[i]);
    free(t->skips);
    t->skips = NULL;
    t->skip_count = 0;
    skip_set_poison(t, NULL);
}

void skip_poison_free(struct poison *p)
{
    if (p == NULL)
        return;
    free(p->key);
    free(p->row);
    free(p->image);
    free(p->error);
    free(p);
}

void skip_set_poison(struct table *t, struct poison *p)
{
    skip_poison_free(t->poison);
    t->poison = p;
}

int skip_count_of(const struct table *t)
{
    int n = 0;

    for (int i = 0; i < t->skip_count; i++)
        n += !t->skips[i].is_void && !t->skips[i].is_nothing;
    return n;
}

int skip_count(const struct sync *s)
{
    int n = 0;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        n += skip_count_of(container_of(l, struct table, in_sync));
    return n;
}

int skip_count_left(const struct sync *s)
{
    int n = 0;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        for (int i = 0; i < t->skip_count; i++)
            n += !t->skips[i].is_settled && !t->skips[i].is_void && !t->skips[i].is_nothing;
    }
    return n;
}

/* What does not go away by itself is tried less and less often. */
double skip_retry_s(const struct table *t)
{
    return t->retries < 5 ? 30. * (double)(1 << (t->retries > 0 ? t->retries - 1 : 0)) : 600.;
}

bool skip_is_exact(const struct sync *s)
{
    return s->is_consistent && skip_count(s) == 0;
}

/* ------------------------------------------------------------------ for people */

json_t *skip_tree(const struct table *t)
{
    json_t *list = json_array();

    for (int i = 0; i < t->skip_count; i++) {
        const struct skip *s = &t->skips[i];

        if (!s->is_void && !s->is_nothing)
            json_array_append_new(
                list,
                json_pack("{s:s, s:s, s:s?, s:o}", "key", s->key, "error", s->error, "at", s->at,
                          "rows",
                          t->records == TABLE_IMAGE ? json_integer(s->copies) : json_integer(1)));
    }
    return list;
}

json_t *skip_poison_tree(const struct table *t)
{
    const struct poison *p = t->poison;

    if (p == NULL)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s}", "key", p->key, "row", p->row, "operation",
                     p->is_delete ? "delete" : "write", "error", p->error);
}

/* Bytes of the UTF-8 character at p; 0: it is none. */
static int utf8_length(const unsigned char *p)
{
    int n = p[0] < 0x80                    ? 1
            : p[0] >= 0xc2 && p[0] <= 0xdf ? 2
            : p[0] >= 0xe0 && p[0] <= 0xef ? 3
            : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                           : 0;

    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)))
        return 0;
    if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
        return 0;
    return n;
}

char *skip_clean_text(const char *text, bool takes_utf8)
{
    struct buf b = {0};
    char *clean;

    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        int n = utf8_length(p);

        if (n > 1 && !takes_utf8)
            n = 0;
        if (n > 0)
            buf_append(&b, (const char *)p, (size_t)n);
        else
            buf_printf(&b, "\\\\x%02x", *p);
        p += n > 0 ? n : 1;
    }
    clean = mem_strdup(b.len ? b.data : "");
    buf_fini(&b);
    return clean;
}
