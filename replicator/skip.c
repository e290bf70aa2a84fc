/* Rows left out are few, and kept as an array at their table. */
#include "skip.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "buf.h"
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

    hash_key(t, r, key_hash);
    for (int i = 0; i <= t->source->column_count; i++)
        hash_field(&h, r, i);
    hash_write(&h, row_hash);
}

/* ------------------------------------------------------------------ while batches run */

bool skip_row(struct table *t, const PGresult *r, bool settles)
{
    char key_hash[SKIP_HASH_SIZE], row_hash[SKIP_HASH_SIZE];

    hash_key(t, r, key_hash);
    for (int i = 0; i < t->skip_count; i++) {
        struct skip *s = &t->skips[i];

        if (strcmp(s->key_hash, key_hash) != 0)
            continue;
        skip_hash(t, r, key_hash, row_hash);
        if (strcmp(s->row_hash, row_hash) == 0)
            return true;
        s->is_settled |= settles;
        return false;
    }
    return false;
}

void skip_begin(struct sync *s)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        for (int i = 0; i < t->skip_count; i++)
            t->skips[i].is_settled = false;
    }
}

static void free_skip(struct skip *s)
{
    free(s->key);
    free(s->error);
    free(s->at);
}

void skip_settled(struct table *t)
{
    int kept = 0;

    for (int i = 0; i < t->skip_count; i++) {
        if (t->skips[i].is_settled)
            free_skip(&t->skips[i]);
        else
            t->skips[kept++] = t->skips[i];
    }
    t->skip_count = kept;
}

static void send_settled(struct batch_job *b, const struct table *t)
{
    struct params *p = &b->job.params;
    struct buf hashes = {0};

    for (int i = 0; i < t->skip_count; i++)
        if (t->skips[i].is_settled)
            buf_printf(&hashes, "%s%s", hashes.len ? "," : "{", t->skips[i].key_hash);
    if (hashes.len > 0) {
        buf_text(&hashes, "}");
        params_clear(p);
        params_text(p, b->sync->name);
        params_int(p, t->id);
        params_text(p, hashes.data);
        conn_query(job_conn(&b->job, JOB_TARGET), sql_skip_settle.text, p, CONN_TEXT, 60.);
        apply_sent_other(&b->apply);
    }
    buf_fini(&hashes);
}

void skip_send_settled(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].table->skip_count > 0)
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
        struct table *t = sync_table_find(s, atoi(PQgetvalue(r, i, 0)));
        struct skip *k = t ? add(t) : NULL;

        if (k == NULL)
            continue;
        k->key = mem_strdup(PQgetvalue(r, i, 1));
        k->error = mem_strdup(PQgetvalue(r, i, 2));
        snprintf(k->key_hash, sizeof k->key_hash, "%s", PQgetvalue(r, i, 3));
        snprintf(k->row_hash, sizeof k->row_hash, "%s", PQgetvalue(r, i, 4));
        k->at = mem_strdup(PQgetvalue(r, i, 5));
    }
}

void skip_add(struct table *t)
{
    const struct poison *p = t->poison;
    struct skip *k;

    for (int i = 0; i < t->skip_count; i++)
        if (strcmp(t->skips[i].key_hash, p->key_hash) == 0)
            t->skips[i].is_settled = true; /* another version of the same row */
    skip_settled(t);
    k = add(t);
    memcpy(k->key_hash, p->key_hash, sizeof k->key_hash);
    memcpy(k->row_hash, p->row_hash, sizeof k->row_hash);
    k->key = mem_strdup(p->key);
    k->error = mem_strdup(p->error);
    k->at = NULL;
    skip_set_poison(t, NULL);
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
    free(p->error);
    free(p);
}

void skip_set_poison(struct table *t, struct poison *p)
{
    skip_poison_free(t->poison);
    t->poison = p;
}

int skip_count(const struct sync *s)
{
    int n = 0;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        n += container_of(l, struct table, in_sync)->skip_count;
    return n;
}

int skip_count_left(const struct sync *s)
{
    int n = 0;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        for (int i = 0; i < t->skip_count; i++)
            n += !t->skips[i].is_settled;
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

    for (int i = 0; i < t->skip_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s?}", "key", t->skips[i].key, "error",
                                              t->skips[i].error, "at", t->skips[i].at));
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
