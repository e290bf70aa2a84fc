-- What Rebeco keeps in a database. The same objects are installed at both ends: the tables under
-- "target" hold a sync's progress and are used where it applies; those under "source" hold what is
-- captured there and who reads it.

CREATE TABLE rebeco.version (
    version int NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now()
);

-- ---------------------------------------------------------------- target

-- One row per sync. A batch writes its end snapshot here in the same transaction as its rows.
CREATE TABLE rebeco.sync (
    name text PRIMARY KEY,
    consumer text NOT NULL,             -- random; names this sync at the source
    owner bigint NOT NULL DEFAULT 0,    -- fencing token: counts the daemons that took this sync
    phase text NOT NULL DEFAULT 'new',  -- new, schema, capture, copy, catch-up, finish, follow
    paused boolean NOT NULL DEFAULT false,
    snapshot txid_snapshot,             -- everything visible in it is at the target
    snapshot_at timestamptz,            -- when it was taken, by the source's clock
    applied_at timestamptz,             -- when it was committed here, by this server's clock
    consistent_since timestamptz,       -- NULL while the target is not one state of the source
    source_system text,                 -- system identifier, timeline and database of the source
    source_timeline bigint,
    source_database oid,
    target_system text,                 -- the same of this database: a clone is noticed by it
    target_database oid,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One row per table of a sync. `id` is the capture's number at the source.
CREATE TABLE rebeco.sync_table (
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    id int NOT NULL,
    source_schema text NOT NULL,
    source_name text NOT NULL,
    source_oid oid NOT NULL,
    target_schema text NOT NULL,
    target_name text NOT NULL,
    state text NOT NULL DEFAULT 'copy', -- copy, index, follow
    snapshot txid_snapshot,             -- its own position; NULL: the sync's
    paused text,                        -- NULL, or why: user, drift, error, capture
    paused_what text,                   -- in one sentence
    paused_detail text,
    paused_hint text,                   -- the remedy
    paused_at timestamptz,
    tolerant boolean NOT NULL DEFAULT false, -- chunks of different age: rows may come twice
    layout text,                        -- of the source when its values were last known to be here
    target_layout text,                 -- of the target at that time
    log oid,                            -- the change log that its position is about, see consumer_table_add.sql
    bytes bigint NOT NULL DEFAULT 0,    -- estimates at the source when the copy was planned
    rows bigint NOT NULL DEFAULT 0,
    copy_started_at timestamptz,
    copied_at timestamptz,
    PRIMARY KEY (sync, id)
);

-- The ledger of the initial copy: a chunk is done in the transaction that loads its rows.
CREATE TABLE rebeco.chunk (
    sync text NOT NULL,
    table_id int NOT NULL,
    number int NOT NULL,
    relation oid NOT NULL,              -- what is read at the source: the table, or a partition
    filenode bigint NOT NULL,           -- its file when this was planned: blocks mean that one
    lower bigint,                       -- first block, inclusive; NULL: from the start
    upper bigint,                       -- last block, exclusive; NULL: to the end
    bytes bigint NOT NULL,              -- planned
    done_at timestamptz,                -- NULL: to do
    copied_rows bigint,
    copied_bytes bigint,
    PRIMARY KEY (sync, table_id, number),
    FOREIGN KEY (sync, table_id) REFERENCES rebeco.sync_table ON DELETE CASCADE
);

-- What people ask of a running daemon; it answers in the row.
CREATE TABLE rebeco.command (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync text NOT NULL,
    verb text NOT NULL,                 -- pause, resume, kick, resync, accept, retry, skip, large-objects-new, large-objects-all, direction
    table_schema text,                  -- NULL: the whole sync
    table_name text,
    key text,                           -- skip: the row's key, a JSON array of texts; direction: which
    requested_by text NOT NULL DEFAULT session_user,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz,
    ok boolean,
    answer text
);

-- What the daemon last said of itself: the tree that `status --json` prints.
CREATE TABLE rebeco.status (
    sync text PRIMARY KEY REFERENCES rebeco.sync ON DELETE CASCADE,
    at timestamptz NOT NULL,
    doc jsonb NOT NULL
) WITH (fillfactor = 50);

-- What could not be done and waits for a person: schema objects, sequences, materialized views.
CREATE TABLE rebeco.problem (
    sync text NOT NULL REFERENCES rebeco.sync ON DELETE CASCADE,
    kind text NOT NULL,                 -- schema, sequence, matview, large-object
    object text NOT NULL,               -- "FK CONSTRAINT shop.orders orders_customer_fkey"
    message text NOT NULL,              -- the server's words
    hint text,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (sync, kind, object)
);

-- ---------------------------------------------------------------- source

-- One row per captured table.
CREATE TABLE rebeco.capture (
    id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    relid oid NOT NULL UNIQUE,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    form text NOT NULL,                 -- row, statement or mixed: see 010_capture.sql
    records text NOT NULL DEFAULT 'key', -- what the log holds of a change: key, image (the row) or nothing
    key_columns text[] NOT NULL,        -- or those of the image
    key_index text NOT NULL,            -- the unique index that makes them a key; of an image ''
    key_types text[] NOT NULL,          -- of the log's columns k1, k2, ...
    key_attnums smallint[] NOT NULL,    -- the columns' numbers and own types, to notice ALTER TABLE
    key_typids oid[] NOT NULL,
    key_operators oid[] NOT NULL,       -- by which the index tells keys apart
    key_equals text[] NOT NULL,         -- their names, and above those of the types, as they were: rebeco.capture_names()
    is_partitioned boolean NOT NULL,
    is_two_way boolean NOT NULL DEFAULT false, -- changes that we apply are not logged, others with their time
    asks_depth boolean NOT NULL DEFAULT false, -- of these: by WHEN, and not in the function (010_capture.sql)
    passes_on boolean NOT NULL DEFAULT false, -- of these: what we apply is logged too, with its origin (073_chain.sql)
    segment int NOT NULL DEFAULT 0,     -- the log that is written now: 0 or 1
    function_md5 text NOT NULL,         -- of the function's source, to notice a replacement
    function_xmin text,                 -- the transaction in which we made it last: sql/capture_glance.sql
    triggers text NOT NULL,             -- name, xmin and state of our triggers, likewise
    installed_at timestamptz NOT NULL DEFAULT now()
);

-- Who reads the change logs, and up to where it has them safely at its target.
CREATE TABLE rebeco.consumer (
    consumer text PRIMARY KEY,
    sync text NOT NULL,
    snapshot txid_snapshot,             -- confirmed by the target
    confirmed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Which tables a consumer reads; a table that lags has a position of its own.
CREATE TABLE rebeco.consumer_table (
    consumer text NOT NULL REFERENCES rebeco.consumer ON DELETE CASCADE,
    capture_id int NOT NULL REFERENCES rebeco.capture ON DELETE CASCADE,
    snapshot txid_snapshot,             -- NULL: the consumer's
    two_way boolean NOT NULL DEFAULT false, -- it reads it for a two-way sync
    PRIMARY KEY (consumer, capture_id)
);

-- Set to 1 by a daemon that falls asleep; a writer that finds a small number sets the next one, and announces itself with
-- NOTIFY, so that a daemon that died asleep costs some hundred notifications, once. A sequence, since its
-- value is of no transaction. But no nextval: the writer's lastval() would be about it.
CREATE SEQUENCE rebeco.nap START 1000;
SELECT pg_catalog.setval('rebeco.nap', 1000);
