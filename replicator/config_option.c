/* The table of options. Adding one: a field in config.h and a row here; the loader, the sample, the
 * JSON Schema and the manual page follow. */
#include "config_option.h"

#include <stdint.h>
#include <string.h>

#include "config_value.h"
#include "hooks.h"

enum { KEY_MAX = 64 };

#define KILOBYTE 1024.0
#define MEGABYTE (1024.0 * 1024)
#define GIGABYTE (1024.0 * 1024 * 1024)
#define DAY_S 86400.0

static const char *const mode_words[] = {"one-way", "two-way", NULL};
static const char *const apart_words[] = {"interleave", "offset", NULL};
static const char *const policy_words[] = {"latest", "source", "target", "skip", "abort", NULL};
static const char *const schema_words[] = {"auto", "expect", "copy", NULL};
static const char *const capture_words[] = {"auto", "row", "statement", NULL};
static const char *const large_words[] = {"auto", "copy", "ignore", NULL};
static const char *const refresh_words[] = {"initial", "on-change", NULL};
static const char *const our_schema_words[] = {"rebeco", NULL};
static const char *const format_words[] = {"text", "json", NULL};
static const char *const level_words[] = {"debug", "info", "notice", "warning", "error", NULL};

const struct config_option config_options[] = {
    {.path = "databases.*",
     .type = OPTION_DATABASES,
     .help = "The databases, each under a name of your choice that the syncs use. Without any, "
             "--source and --target (or REBECO_SOURCE and REBECO_TARGET) say which."},
    {.path = "databases.*.url",
     .type = OPTION_URL,
     .offset = 0, /* the struct itself */
     .example = "${SOURCE_URL}",
     .required = true,
     .help = "Where the database is: any libpq URL or conninfo string, with TLS options, service "
             "and password files. ${VAR} is replaced from the environment and ${file:/path} from a "
             "file, in any value; $${ stands for a plain ${. In a URL the file is read again for "
             "every connection: a password that is rotated there is used from then on."},
    {.path = "databases.*.password_command",
     .type = OPTION_COMMAND,
     .offset = offsetof(struct config_database, password_command),
     .example = "aws rds generate-db-auth-token --hostname db.example --port 5432 --username u",
     .help = "A program that writes the password as the first line of its output; it is run again "
             "for every connection, so that tokens may live for minutes. It is run without a shell "
             "(write sh -c '...' where you need one), has PGHOST, PGPORT, PGUSER and PGDATABASE "
             "from the URL in its environment, and must end within network_timeout."},
    {.path = "databases.*.schema",
     .type = OPTION_WORD,
     .offset = offsetof(struct config_database, schema),
     .standard = "rebeco",
     .words = our_schema_words,
     .help = "The schema that holds Rebeco's own objects there. This version knows only rebeco."},
    {.path = "syncs[]",
     .type = OPTION_SYNCS,
     .help = "What is kept in sync: each entry is one source, one target and a set of tables."},
    {.path = "syncs[].name",
     .type = OPTION_NAME,
     .offset = offsetof(struct config_sync, name),
     .standard = "default",
     .help = "Names the sync in commands, logs and status: letters, digits, \"_\", \"-\" and "
             "\".\", up to 63 of them."},
    {.path = "syncs[].source",
     .type = OPTION_DATABASE,
     .offset = offsetof(struct config_sync, source),
     .example = "source",
     .help = "The database that takes the writes, by its name above. --source replaces it."},
    {.path = "syncs[].target",
     .type = OPTION_DATABASE,
     .offset = offsetof(struct config_sync, target),
     .example = "target",
     .help = "The database that becomes the copy, by its name above. --target replaces it."},
    {.path = "syncs[].mode",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_sync, mode),
     .standard = "one-way",
     .words = mode_words,
     .help =
         "one-way: changes travel from source to target; two-way: after the initial copy, which "
         "goes from source to target, both ends may be written to, and changes travel in both "
         "directions. Do not write at the target before `status` says that the sync is in "
         "sync."},
    {.path = "syncs[].conflict",
     .type = OPTION_GROUP,
     .help = "In a two-way sync: who wins when both ends have changed the same row since they last "
             "met. What loses is kept in rebeco.conflict, at both ends."},
    {.path = "syncs[].conflict.default",
     .type = OPTION_POLICY,
     .offset = offsetof(struct config_sync, conflict_default),
     .standard = "latest",
     .words = policy_words,
     .help =
         "latest: the later change, by the clocks of both ends, whose difference is measured and "
         "allowed for (equal times: the source's); source, target: that end's; skip: neither is "
         "sent, and the row differs until somebody writes it again; abort: the table is paused; "
         "or a function at the target, as schema.name: it takes the table (text), the key, the "
         "source's row, the target's row (json; NULL: deleted) and the times of both changes "
         "(timestamptz), and answers source, target or skip. It may be asked "
         "more than once about a conflict; what it writes at the target is a change of that end, "
         "and travels."},
    {.path = "syncs[].conflict.tables",
     .type = OPTION_POLICIES,
     .offset = offsetof(struct config_sync, conflict_tables),
     .words = policy_words,
     .example = "{\"public.accounts\": source}",
     .help =
         "Tables with a policy of their own; patterns as in tables.include. The first that fits "
         "counts."},
    {.path = "syncs[].conflict.merge",
     .type = OPTION_PATTERNS,
     .offset = offsetof(struct config_sync, merge),
     .standard = "",
     .help =
         "Tables of which a row that both ends have updated keeps both changes, as long as they "
         "are "
         "to different columns; the policy decides columns that both have changed. Rows that were "
         "inserted or deleted, or got another key, are decided as a whole. Such a table is "
         "captured by row triggers, and its log is larger."},
    {.path = "syncs[].conflict.counters",
     .type = OPTION_LISTS,
     .offset = offsetof(struct config_sync, counters),
     .example = "{\"public.accounts\": [\"balance\"]}",
     .help =
         "Columns to which both ends add: a row that both have updated gets the sum of all their "
         "changes. For columns of type smallint, integer, bigint and numeric that are not part of "
         "the key; patterns as in tables.include. Where a value was NULL the policy decides."},
    {.path = "syncs[].conflict.keep",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_sync, conflict_keep_s),
     .standard = "30d",
     .min = 1,
     .max = 3650 * DAY_S,
     .help = "How long rebeco.conflict keeps what was decided."},
    {.path = "syncs[].schema",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_sync, schema),
     .standard = "auto",
     .words = schema_words,
     .help = "auto: copy the schema (tables, indexes, functions and so on) when the target has "
             "none of it; copy: copy it in any case, and report what is there already; expect: "
             "never, the target must have it."},
    {.path = "syncs[].tables",
     .type = OPTION_GROUP,
     .help = "Which tables. Patterns are schema.table with * and ?; \"quoted\" parts are taken "
             "literally."},
    {.path = "syncs[].tables.include",
     .type = OPTION_PATTERNS,
     .offset = offsetof(struct config_sync, include),
     .standard = "*.*",
     .help = "Tables to take; the default is everything that is yours."},
    {.path = "syncs[].tables.exclude",
     .type = OPTION_PATTERNS,
     .offset = offsetof(struct config_sync, exclude),
     .standard = "",
     .help = "Tables to leave out of these. One that was taken in before leaves the sync, and "
             "keeps its rows at the target."},
    {.path = "syncs[].tables.whole",
     .type = OPTION_PATTERNS,
     .offset = offsetof(struct config_sync, whole),
     .standard = "",
     .help = "Small tables that are read and replaced as a whole whenever something in them has "
             "changed, instead of row by row: the way for a table without a key that is updated "
             "much. Readers at the target see the old rows or the new ones, never none."},
    {.path = "syncs[].tables.whole_every",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_sync, whole_every_s),
     .standard = "10s",
     .min = 0,
     .max = DAY_S,
     .help = "The least time between two readings of one of them. A change waits so long; the "
             "target is not called in sync while one waits."},
    {.path = "syncs[].tables.rename",
     .type = OPTION_RENAMES,
     .offset = offsetof(struct config_sync, rename),
     .example = "{\"shop.*\": \"store.*\", \"shop.item\": \"store.thing\"}",
     .help = "Tables, or all tables of a schema, that have another name at the target; the first "
             "that fits counts. Needs schema: expect: the target has them already."},
    {.path = "syncs[].tables.columns",
     .type = OPTION_LISTS,
     .offset = offsetof(struct config_sync, columns),
     .example = "{\"shop.customer\": [\"id\", \"name\"]}",
     .help =
         "The columns to take of a table, its key among them; the others are not written at the "
         "target. When the list changes, the table is copied again."},
    {.path = "syncs[].tables.where",
     .type = OPTION_TEXTS,
     .offset = offsetof(struct config_sync, where),
     .example = "{\"shop.orders\": \"placed_on >= '2024-01-01'\"}",
     .help = "The rows to take of a table: an SQL condition over its columns, which the source "
             "evaluates; functions of your own need their schema. A row that is changed so that it "
             "does not hold any more is deleted at the target. The condition must depend on the "
             "row alone, not on the time or on other tables. When it changes, the table is copied "
             "again."},
    {.path = "syncs[].tables.fire_triggers",
     .type = OPTION_PATTERNS,
     .offset = offsetof(struct config_sync, fire_triggers),
     .standard = "",
     .help = "Tables whose triggers and foreign keys at the target act on changes that arrive, as "
             "on any other session's; those of all others are switched off, where our role may do "
             "that. Never during a copy. What a trigger writes into another table of the sync is a "
             "difference that nobody mends. Only in syncs of mode: one-way."},
    {.path = "syncs[].new_tables",
     .type = OPTION_BOOL,
     .offset = offsetof(struct config_sync, new_tables),
     .standard = "true",
     .help = "Take in tables that appear at both ends later and match the patterns."},
    {.path = "syncs[].capture",
     .type = OPTION_WORD,
     .offset = offsetof(struct config_sync, capture),
     .standard = "auto",
     .words = capture_words,
     .help = "How changes are captured: by row triggers, by statement triggers (cheaper in bulk "
             "statements; a table where they would not see all changes gets row triggers), or "
             "auto: statement triggers, but for updates of tables of up to 10 MB, which row "
             "triggers capture at less cost for each single row, and where the server bounds "
             "temporary files (temp_file_limit), which large statements would use up."},
    {.path = "syncs[].lock_timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_sync, lock_timeout_s),
     .standard = "200ms",
     .min = 0.001,
     .max = 60,
     .help = "How long we wait for the lock on a table of the source at a time. Installing capture "
             "can make other writers wait that long, and tries again until it gets it; a batch "
             "leaves a table that is held for longer aside, until it is free."},
    {.path = "syncs[].log_limit",
     .type = OPTION_BYTES,
     .offset = offsetof(struct config_sync, log_limit_bytes),
     .standard = "1GB",
     .min = MEGABYTE,
     .max = 1024 * 1024 * GIGABYTE,
     .help = "Warn when the change logs at the source hold more than this, because the target does "
             "not keep up or is away."},
    {.path = "syncs[].sequences",
     .type = OPTION_GROUP,
     .help = "Sequences are kept ahead at the target."},
    {.path = "syncs[].sequences.headroom",
     .type = OPTION_COUNT,
     .offset = offsetof(struct config_sync, sequence_headroom),
     .standard = "1000",
     .min = 0,
     .max = 1e12,
     .help = "How many values the target's sequences stay ahead of the source's."},
    {.path = "syncs[].sequences.interval",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_sync, sequence_interval_s),
     .standard = "5s",
     .min = 0.1,
     .max = DAY_S,
     .help = "How often sequences are read."},
    {.path = "syncs[].sequences.two_way",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_sync, sequences_apart),
     .standard = "interleave",
     .words = apart_words,
     .help = "How both ends of a two-way sync draw values that never meet. interleave: the steps "
             "are doubled, the source takes the even ones, the target the odd ones; offset: no "
             "step changes, and the target begins a billion values further on (or half of what is "
             "left). `uninstall` undoes it. It cannot be changed while the sync runs."},
    {.path = "syncs[].large_objects",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_sync, large_objects),
     .standard = "auto",
     .words = large_words,
     .help = "Large objects, which are no rows of any table: copy them, under their numbers, when "
             "the sync begins, or ignore them; auto copies when tables.include takes everything. "
             "No trigger fires for them, so changes after that are not followed: `rebeco resync "
             "--large-objects new` copies those that have come, `all` compares every one."},
    {.path = "syncs[].materialized_views",
     .type = OPTION_GROUP,
     .help = "Materialized views are refreshed at the target, in the order of their dependencies."},
    {.path = "syncs[].materialized_views.refresh[]",
     .type = OPTION_REFRESH,
     .standard = "initial",
     .words = refresh_words,
     .help = "When: initial (once the copy is consistent), on-change (when tables below have "
             "changed), and {every: 10m} for a schedule; with on-change that is the least time "
             "between two refreshes. An empty list: never."},
    {.path = "syncs[].materialized_views.refresh[].every",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_sync, matview_every_s),
     .example = "10m",
     .required = true,
     .min = 1,
     .max = 365 * DAY_S,
     .help = "The schedule: an entry {every: 10m} of the list."},
    {.path = "syncs[].copy", .type = OPTION_GROUP, .help = "The initial copy."},
    {.path = "syncs[].copy.streams",
     .type = OPTION_INT,
     .offset = offsetof(struct config_sync, copy_streams),
     .standard = "4",
     .min = 1,
     .max = 64,
     .help = "How many tables, or parts of large tables, are copied at the same time; each takes "
             "one connection at either end."},
    {.path = "syncs[].copy.split_size",
     .type = OPTION_BYTES,
     .offset = offsetof(struct config_sync, copy_split_bytes),
     .standard = "256MB",
     .min = 64 * KILOBYTE,
     .max = 1024 * GIGABYTE,
     .help = "Larger tables are copied in parts of about this size; a part that is done is never "
             "copied again."},
    {.path = "syncs[].copy.follower",
     .type = OPTION_URL,
     .offset = offsetof(struct config_sync, follower),
     .example = "${FOLLOWER_URL}",
     .help = "A standby of the source to read the copy from. The password_command of the source is "
             "asked for it too."},
    {.path = "syncs[].copy.max_rate",
     .type = OPTION_RATE,
     .offset = offsetof(struct config_sync, copy_max_rate),
     .standard = "0",
     .min = 0,
     .max = 1024 * GIGABYTE,
     .help = "Limit of the copy, all streams together, such as 50MB/s; 0 is no limit."},
    {.path = "syncs[].copy.adopt",
     .type = OPTION_BOOL,
     .offset = offsetof(struct config_sync, copy_adopt),
     .standard = "false",
     .help =
         "In a two-way sync: where both ends hold rows already, these are taken for the same, and "
         "only what changes from now on travels. Only for two ends that other two-way syncs "
         "tie to each other already: it closes a ring of them."},
    {.path = "syncs[].apply", .type = OPTION_GROUP, .help = "Applying changes at the target."},
    {.path = "syncs[].apply.batch_bytes",
     .type = OPTION_BYTES,
     .offset = offsetof(struct config_sync, apply_batch_bytes),
     .standard = "16MB",
     .min = 64 * KILOBYTE,
     .max = GIGABYTE,
     .help = "How much of a batch is held in memory at a time. A batch may be larger."},
    {.path = "syncs[].network_timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_sync, network_timeout_s),
     .standard = "15s",
     .min = 1,
     .max = 3600,
     .help =
         "How long a silent network or server is believed before the connection is opened anew."},
    {.path = "syncs[].poll",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_sync, poll_s),
     .standard = "10ms",
     .min = 0.001,
     .max = 60,
     .help = "The shortest time between two batches. An idle source is not polled: it wakes the "
             "daemon."},
    {.path = "http",
     .type = OPTION_GROUP,
     .help = "What the daemon shows of itself: a page for people at /, /status as JSON, /metrics "
             "for Prometheus, /healthz and /readyz for an orchestrator."},
    {.path = "http.listen",
     .type = OPTION_ADDRESS,
     .offset = offsetof(struct config, http_listen),
     .standard = "127.0.0.1:8080",
     .help = "Where it listens: address:port, such as 0.0.0.0:8080 or \"[::]:8080\"; none turns it "
             "off. Elsewhere than on loopback it needs http.token_file. It speaks no TLS: put a "
             "proxy in front."},
    {.path = "http.token_file",
     .type = OPTION_PATH,
     .offset = offsetof(struct config, http_token_file),
     .example = "/run/secrets/rebeco-token",
     .help = "A file with the token that a client must send: Authorization: Bearer TOKEN. It is "
             "read at every request. /healthz, /readyz and the empty page are shown to everybody."},
    {.path = "http.ready_lag",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config, http_ready_lag_s),
     .standard = "30s",
     .min = 0.1,
     .max = DAY_S,
     .help = "/readyz says no (503) when a sync is not in sync, or is this far behind."},
    {.path = "hooks",
     .type = OPTION_GROUP,
     .help = "Commands that are told what happens, as JSON on their standard input: for a chat, a "
             "pager, the next step of a migration. They are run without a shell (write sh -c '...' "
             "where you need one), one after the other; nothing waits for them."},
    {.path = "hooks.copied",
     .type = OPTION_COMMAND,
     .offset = offsetof(struct config, hooks[HOOK_COPIED]),
     .example = "/usr/local/bin/tell-us",
     .help = "Run when every table is copied. "
             "The JSON has event, sync and at, and what belongs to it: table, what, detail, hint, "
             "lag_s, limit_s, conflicts, tables, exit_code."},
    {.path = "hooks.in_sync",
     .type = OPTION_COMMAND,
     .offset = offsetof(struct config, hooks[HOOK_IN_SYNC]),
     .example = "/usr/local/bin/tell-us",
     .help =
         "Run whenever the target has become one consistent state of the source and follows it."},
    {.path = "hooks.drift",
     .type = OPTION_COMMAND,
     .offset = offsetof(struct config, hooks[HOOK_DRIFT]),
     .example = "/usr/local/bin/tell-us",
     .help = "Run when a table is paused because its two ends no longer fit."},
    {.path = "hooks.lag",
     .type = OPTION_COMMAND,
     .offset = offsetof(struct config, hooks[HOOK_LAG]),
     .example = "/usr/local/bin/tell-us",
     .help = "Run when the target falls behind by more than lag_limit."},
    {.path = "hooks.conflict",
     .type = OPTION_COMMAND,
     .offset = offsetof(struct config, hooks[HOOK_CONFLICT]),
     .example = "/usr/local/bin/tell-us",
     .help = "Run when rows of a two-way sync were changed at both ends and it was decided who "
             "wins, at most once a second. Both versions are in rebeco.conflict."},
    {.path = "hooks.error",
     .type = OPTION_COMMAND,
     .offset = offsetof(struct config, hooks[HOOK_ERROR]),
     .example = "/usr/local/bin/tell-us",
     .help = "Run when a table is paused by an error, or a sync cannot go on without a person."},
    {.path = "hooks.stopped",
     .type = OPTION_COMMAND,
     .offset = offsetof(struct config, hooks[HOOK_STOPPED]),
     .example = "/usr/local/bin/tell-us",
     .help = "Run when the daemon ends; it waits for the command."},
    {.path = "hooks.lag_limit",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config, hooks_lag_limit_s),
     .standard = "60s",
     .min = 0.1,
     .max = DAY_S,
     .help = "How far behind the target must be for hooks.lag."},
    {.path = "hooks.timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config, hooks_timeout_s),
     .standard = "10s",
     .min = 0.1,
     .max = 3600,
     .help = "How long a hook may run; then it is ended."},
    {.path = "log", .type = OPTION_GROUP, .help = "The log, on standard error."},
    {.path = "log.format",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config, log_format),
     .standard = "text",
     .words = format_words,
     .help = "text: key=value; json: one object a line. --log-format replaces it."},
    {.path = "log.level",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config, log_level),
     .standard = "info",
     .words = level_words,
     .help = "The least level that is written. --log-level replaces it."},
    {.path = NULL},
};

_Static_assert(sizeof config_options / sizeof config_options[0] <= 65,
               "the loader has one bit for each row");

/* The length of a path without the mark of a list or of a mapping with free names. */
static size_t bare_length(const char *path)
{
    size_t n = strlen(path);
    bool is_marked = n > 2 && (strcmp(path + n - 2, "[]") == 0 || strcmp(path + n - 2, ".*") == 0);
    return is_marked ? n - 2 : n;
}

const char *config_option_key(const struct config_option *o, size_t *len)
{
    size_t end = bare_length(o->path);
    size_t start = end;
    while (start > 0 && o->path[start - 1] != '.')
        start--;
    *len = end - start;
    return o->path + start;
}

bool config_option_is_child(const struct config_option *o, const struct config_option *parent)
{
    size_t len;
    size_t start = (size_t)(config_option_key(o, &len) - o->path);
    if (parent == NULL)
        return start == 0;
    size_t parent_len = strlen(parent->path);
    return start == parent_len + 1 && memcmp(o->path, parent->path, parent_len) == 0;
}

const struct config_option *config_option_find(const struct config_option *parent, const char *key)
{
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        size_t len;
        const char *k = config_option_key(o, &len);
        bool is_it = strlen(key) == len && memcmp(k, key, len) == 0;
        if (is_it && config_option_is_child(o, parent))
            return o;
    }
    return NULL;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* How many insertions, deletions, replacements and swaps of neighbours lead from a to b. */
static int edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int d[KEY_MAX + 1][KEY_MAX + 1];
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (int)(i + j);
                continue;
            }
            int change = a[i - 1] == b[j - 1] ? 0 : 1;
            d[i][j] = least(d[i - 1][j - 1] + change, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a_len][b_len];
}

/* The key in the mapping of `parent` that was probably meant; NULL when none is near. */
static const struct config_option *find_near(const struct config_option *parent, const char *key)
{
    const struct config_option *nearest = NULL;
    size_t key_len = strlen(key);
    int limit = key_len < 5 ? 2 : 3; /* a distance below this is a slip of the finger */
    if (key_len > KEY_MAX)
        return NULL;
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        if (!config_option_is_child(o, parent))
            continue;
        size_t len;
        const char *k = config_option_key(o, &len);
        int distance = edit_distance(key, key_len, k, len);
        if (distance < limit) {
            limit = distance;
            nearest = o;
        }
    }
    return nearest;
}

/* A row with exactly this key that stands elsewhere. */
static const struct config_option *find_elsewhere(const char *key)
{
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        size_t len;
        const char *k = config_option_key(o, &len);
        if (strlen(key) == len && memcmp(k, key, len) == 0)
            return o;
    }
    return NULL;
}

void config_option_unknown(const struct config_option *parent, const char *key, struct error *e)
{
    const char *where = parent != NULL ? parent->path : "the file";
    error_set(e, "there is no option \"%s\" in %s", key, where);
    const struct config_option *near = find_near(parent, key);
    const struct config_option *elsewhere = find_elsewhere(key);
    if (near != NULL) {
        size_t len;
        const char *k = config_option_key(near, &len);
        error_hint(e, "Did you mean \"%.*s\"?", (int)len, k);
    } else if (elsewhere != NULL) {
        error_hint(e, "It stands elsewhere: %s.", elsewhere->path);
    } else {
        error_hint(e, "`rebeco config sample` prints every option with its meaning.");
    }
}

void config_option_defaults(const struct config_option *parent, void *base, struct arena *a)
{
    for (const struct config_option *o = config_options; o->path != NULL; o++) {
        if (!config_option_is_child(o, parent))
            continue;
        if (o->type == OPTION_GROUP)
            config_option_defaults(o, base, a);
        else if (o->standard != NULL)
            config_value_default(o, base, a);
    }
}
