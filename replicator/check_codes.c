/* The table of checks. A row is the whole contract of its code: sql/check_*.sql and check.c only
 * say where it applies and to what. */
#include "check_codes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

const struct check_code check_codes[] = {
    /* ---- the way to the servers */
    {"load-balanced", CHECK_BLOCKER,
     "Several servers answer at this address. Rebeco must talk to one and the same server.",
     "Give the address of the primary itself, not of a load balancer or of a reader endpoint."},
    {"pooler-transaction", CHECK_BLOCKER,
     "A pooler in between gives each transaction another session. Settings and locks of a session "
     "would not last, and would turn up in the application's sessions. Nothing else was checked.",
     "Give the address of the server itself (the direct port), not that of the pooler."},
    {"pooler", CHECK_BLOCKER,
     "A pooler is in between. It seems to keep one session for each connection, but that can "
     "change "
     "at any moment, and it may end idle ones and hide a broken network. `run` refuses it.",
     "Give the address of the server itself (the direct port), not that of the pooler."},
    {"not-encrypted", CHECK_WARNING,
     "The connection leaves this machine without encryption: whoever is in between can read the "
     "data.",
     "Add sslmode=verify-full (with sslrootcert) or at least sslmode=require to the URL."},
    {"same-database", CHECK_BLOCKER, "Source and target are the same database.",
     "Correct one of the two URLs."},
    {"target-is-clone", CHECK_WARNING,
     "The target's server is a physical copy of the source's: made from a backup, or a promoted "
     "follower. It holds the source's old rows.",
     "Make sure that the URLs are not swapped and that this target is meant. To start from an "
     "empty target, create a new database on it."},
    {"clock-difference", CHECK_WARNING,
     "The clocks of the two servers differ by more than a second. Rebeco decides nothing by "
     "clocks in one-way mode, but times in the two logs cannot be compared, and column defaults "
     "such as now() jump at cutover.",
     "Set both clocks by NTP, or bear the difference in mind."},
    {"check-failed", CHECK_WARNING,
     "The server refused one of the questions, so this part was not checked.",
     "Read the server's words. If a privilege is missing, ask the provider for pg_monitor or "
     "similar; otherwise run the check again."},

    {"follower-unreachable", CHECK_BLOCKER,
     "The follower, from which the initial copy is to be read, cannot be reached.",
     "Correct copy.follower, or leave it out to read from the source itself."},
    {"follower-foreign", CHECK_BLOCKER,
     "The address in copy.follower does not lead to a standby of the source.",
     "Give the address of a streaming standby of the source and the same database there, or leave "
     "it out."},
    {"follower-cancels", CHECK_WARNING,
     "The follower cancels a long COPY when the source vacuums what it still reads. The chunk is "
     "then read again.",
     "Set hot_standby_feedback = on at the follower, or max_standby_streaming_delay = -1 for the "
     "time of the copy, or a smaller copy.split_size."},

    /* ---- the servers */
    {"version-unsupported", CHECK_BLOCKER, "This version of PostgreSQL is too old for Rebeco.",
     "Upgrade this server first; or, for an old source, let the provider's own upgrade take it to "
     "a later version."},
    {"target-older", CHECK_WARNING,
     "The target has an older major version than the source. pg_dump's output for the newer "
     "version may use what the older one does not know.",
     "Use a target of at least the source's version, or create the schema at the target by hand "
     "(schema: expect)."},
    {"standby", CHECK_BLOCKER,
     "This server is a standby: it cannot be written, and what is running elsewhere cannot be seen "
     "from here.",
     "Give the address of the primary. A standby of the source can be named as copy.follower, to "
     "read the initial copy from."},
    {"read-only", CHECK_WARNING,
     "Transactions are read-only by default here. Providers do this when a plan's limit or the "
     "disk is full. Rebeco asks for writable transactions all the same; pg_restore does not, so a "
     "target that is set so gets no schema.",
     "Find out why (ALTER DATABASE, ALTER ROLE or the provider's console) and undo it."},
    {"database-create", CHECK_BLOCKER,
     "Our role may not create schemas in this database, so Rebeco cannot install its objects, nor "
     "the application's.",
     "As the owner of the database: GRANT CREATE ON DATABASE ... TO the role of the URL; or "
     "connect as the owner."},
    {"database-temp", CHECK_BLOCKER,
     "Our role may not make temporary tables at the target. Rebeco needs one when a broken copy of "
     "a table goes on.",
     "As the owner of the database: GRANT TEMPORARY ON DATABASE ... TO the role of the URL."},
    {"schema-not-ours", CHECK_BLOCKER,
     "The schema in which Rebeco keeps its objects exists, but it is not ours to use.",
     "If it was left by a Rebeco of another role, connect as that role or run `rebeco uninstall` "
     "as it. If it is the application's, rename it: this version knows no other name for its own."},
    {"state-newer", CHECK_BLOCKER, "A newer version of Rebeco has installed the objects here.",
     "Use the newer program, or `rebeco uninstall` with it and start afresh."},
    {"captured-already", CHECK_NOTE,
     "Another sync captures changes in this database already. Both can live side by side.",
     "Nothing; if that sync is over, end it with `rebeco --sync NAME uninstall`."},
    {"plpgsql-missing", CHECK_BLOCKER,
     "The language PL/pgSQL, in which Rebeco's functions are "
     "written, cannot be used here.",
     "As the owner of the database: CREATE EXTENSION plpgsql; GRANT USAGE ON LANGUAGE plpgsql TO "
     "the role of the URL."},
    {"superuser", CHECK_NOTE, "The role is a superuser. Rebeco does not need one.",
     "Connect as the role that owns the application's tables."},
    {"connections-short", CHECK_BLOCKER,
     "There are not enough free connections for Rebeco beside the ones in use.",
     "Lower copy.streams, stop what is not needed, or raise the limit (max_connections, ALTER ROLE "
     "... CONNECTION LIMIT, ALTER DATABASE ... CONNECTION LIMIT, a larger plan)."},
    {"connections-tight", CHECK_WARNING,
     "There are enough free connections for Rebeco now, but a peak of the application could use "
     "them up.",
     "Lower copy.streams, or raise the limit of connections."},
    {"lock-table-small", CHECK_WARNING,
     "There are many tables for the size of the server's lock table. pg_dump locks every table at "
     "once, and would fail with \"out of shared memory\".",
     "Raise max_locks_per_transaction and restart the server, or use schema: expect."},
    {"timeout-set", CHECK_NOTE,
     "A timeout is set for sessions of our role. Rebeco sets its own in its sessions, so this does "
     "not disturb it.",
     "Nothing; but a tool of your own that you run beside Rebeco is bound by it."},
    {"event-trigger", CHECK_WARNING,
     "An event trigger runs when Rebeco creates its tables, functions and triggers, and at the "
     "target when it creates the application's. If it fails, the installation fails.",
     "Make sure that it leaves schema rebeco alone, or disable it for the time being: ALTER EVENT "
     "TRIGGER ... DISABLE (as superuser)."},
    {"collation-version", CHECK_WARNING,
     "The operating system sorts text otherwise than when the indexes were built. They may miss "
     "rows, and unique indexes may hold duplicates, which fail at the target.",
     "REINDEX what is sorted by it, then ALTER DATABASE (or COLLATION) ... REFRESH VERSION."},

    /* ---- what goes on now */
    {"long-transaction", CHECK_WARNING,
     "A transaction has been open for long. While it holds a lock on a table, capture cannot be "
     "installed there (writers are not made to wait: Rebeco gives up and tries again), and change "
     "logs cannot be emptied.",
     "Let it end before you start, or end it: SELECT pg_terminate_backend(PID)."},
    {"prepared-transaction", CHECK_WARNING,
     "A prepared transaction waits for its end. It holds its locks, also over restarts, and change "
     "logs cannot be emptied.",
     "COMMIT PREPARED or ROLLBACK PREPARED it, in the database that is named."},
    {"sessions-hidden", CHECK_NOTE,
     "Our role may not see since when the transactions of these sessions are open, so long ones "
     "among them were not found.",
     "To see them: GRANT pg_read_all_stats TO the role of the URL (or pg_monitor), where the "
     "provider allows it."},
    {"table-locked", CHECK_WARNING,
     "Somebody holds a lock on these tables now that would make Rebeco wait. It waits for "
     "lock_timeout at most, gives way and tries again, until the lock is free.",
     "Nothing if it is short. A long ALTER TABLE, CREATE INDEX, VACUUM or open transaction should "
     "end before you start."},
    {"wraparound-vacuum", CHECK_WARNING,
     "Autovacuum works on these tables against transaction wraparound. It does not give way: until "
     "it is done, capture cannot be installed there.",
     "Wait until it is done (pg_stat_progress_vacuum). Do not cancel it."},
    {"wraparound-near", CHECK_WARNING,
     "These tables are near the age at which autovacuum works on them without giving way. That "
     "would delay the installation of capture by as long as it takes.",
     "VACUUM (FREEZE) them before you start, at a quiet time."},

    /* ---- tables of the source */
    {"no-tables", CHECK_BLOCKER, "There is no table to replicate.",
     "Look at the database in the source's URL and at tables.include and tables.exclude."},
    {"table-not-owned", CHECK_BLOCKER,
     "Our role is not the owner of these tables, and only an owner can install capture.",
     "Connect as the owner, or GRANT the owner's role TO the role of the URL; or exclude the "
     "tables."},
    {"table-privilege", CHECK_BLOCKER,
     "Our role lacks privileges on these tables: SELECT to read rows, TRIGGER to install capture.",
     "GRANT SELECT, TRIGGER ON ... TO the role of the URL."},
    {"schema-usage", CHECK_BLOCKER, "Our role may not look into these schemas.",
     "GRANT USAGE ON SCHEMA ... TO the role of the URL."},
    {"no-columns", CHECK_BLOCKER, "These tables have no column whose values could be copied.",
     "ALTER TABLE ... ADD COLUMN, or DROP TABLE, or exclude the tables."},
    {"no-key", CHECK_WARNING,
     "The rows of these tables cannot be told apart: there is no primary key and no plain unique "
     "index over columns that are NOT NULL and not generated. They are followed all the same, and "
     "arrive exactly, "
     "but it costs more: each changed row is written whole into a change log, each batch with "
     "updates or deletes scans the table at the target, and the initial copy of such a table is "
     "one piece that begins anew when it is broken off.",
     "ALTER TABLE ... ADD PRIMARY KEY, or make the columns of a unique index NOT NULL. A small "
     "table may stand in tables.whole instead. Nothing needs to be done where rows are only "
     "added."},
    {"two-way-no-key", CHECK_BLOCKER,
     "These tables cannot be in a two-way sync: which row was changed at which end, and so what is "
     "a conflict, is told by a key. `run` leaves them out.",
     "ALTER TABLE ... ADD PRIMARY KEY, or make the columns of a unique index NOT NULL, and take "
     "them out of tables.whole; or exclude them. A generated column makes no key."},
    {"two-way-trigger", CHECK_BLOCKER,
     "In a two-way sync these triggers would do their work a second time, for rows that arrive "
     "from the other end, whatever our role may switch off. `run` leaves the tables out.",
     "Make each anew at both ends with WHEN (current_setting('rebeco.applying', true) IS DISTINCT "
     "FROM 'on'): it fires for the application then, and not for rows that arrive. Or disable it, "
     "or exclude the table."},
    {"two-way-trigger-aware", CHECK_NOTE,
     "These triggers ask for rebeco.applying: they fire for the application at either end, and not "
     "for rows that arrive. What they write travels to the other end like any change.",
     "Nothing, if what they write is in tables of the sync too, or is meant to be at one end "
     "only."},
    {"two-way-rule", CHECK_BLOCKER,
     "In a two-way sync these rewrite rules would act a second time, for rows that arrive from the "
     "other end, or refuse them. `run` leaves the tables out.",
     "Replace each at both ends by a trigger with WHEN (current_setting('rebeco.applying', true) "
     "IS "
     "DISTINCT FROM 'on'). Or ALTER TABLE ... DISABLE RULE, or exclude the table."},
    {"two-way-sequence-cycle", CHECK_BLOCKER,
     "These sequences begin again at their end (CYCLE): then each end would give the values of the "
     "other one, whatever keeps them apart now.",
     "ALTER SEQUENCE ... NO CYCLE, with a larger range where needed; or let the column's values "
     "come from elsewhere, such as UUIDs."},
    {"two-way-sequence-short", CHECK_WARNING,
     "These sequences, or the columns that they are for, have few values left. Two ends that share "
     "them use them up faster.",
     "Change the column to bigint and ALTER SEQUENCE ... AS bigint, at both ends."},
    {"two-way-sequence-cached", CHECK_NOTE,
     "Sessions take several values of these sequences at a time (CACHE). The ends stay apart all "
     "the same, but gaps are larger, and values are not in the order of time.",
     "Nothing."},
    {"two-way-natural-key", CHECK_NOTE,
     "The keys of these tables come neither from a sequence nor from UUIDs: both ends may insert "
     "the same one. That is a conflict (insert_exists), and one of the two rows is kept.",
     "Nothing where the same key means the same thing. Else write the table at one end only, or "
     "choose a policy for it (conflict.tables)."},
    {"two-way-unique", CHECK_WARNING,
     "These tables have values that are unique besides the key. Where each end gives one to a row "
     "with a key of its own, no policy can decide: the table stands still in both directions until "
     "a person changes or removes one of the two rows.",
     "Nothing where that is not to be expected. Else write such rows at one end only while both "
     "take writes."},
    {"column-list", CHECK_BLOCKER,
     "tables.columns names columns that these tables do not have, or leaves out a part of their "
     "key; or a part is to be taken (tables.columns, tables.where) of tables without a key, or of "
     "those in tables.whole.",
     "Mend the list. It must hold the key, and only columns that are there."},
    {"same-target", CHECK_BLOCKER,
     "tables.rename gives tables a name at the target that another table of the sync has there.",
     "Mend tables.rename, or leave one of them out under tables.exclude."},
    {"counter-column", CHECK_BLOCKER,
     "conflict.counters names columns to which nothing can be added: they are not there, or part "
     "of the key or of a foreign key, or generated, or of another type than smallint, integer, "
     "bigint and numeric (sums of floating-point numbers are not exact).",
     "Mend the list, or make the column numeric."},
    {"filter-refused", CHECK_BLOCKER,
     "The source cannot evaluate a condition of tables.where. Those after it were not tried.",
     "Mend the condition: an SQL expression over the table's columns; functions of your own with "
     "their schema."},
    {"row-security", CHECK_BLOCKER,
     "Row security applies to our role, so rows could be missing without anybody noticing. Rebeco "
     "refuses to work like that.",
     "ALTER TABLE ... NO FORCE ROW LEVEL SECURITY, connect as the owner, or ALTER ROLE ... "
     "BYPASSRLS."},
    {"unlogged-table", CHECK_WARNING,
     "These tables are unlogged: a crash of a server empties them there. The daemon notices that "
     "and "
     "copies them again; in a two-way sync they stand still then.",
     "ALTER TABLE ... SET LOGGED, or exclude them, where that will not do."},
    {"large-objects", CHECK_WARNING,
     "The database has large objects. They are copied when the sync begins (option large_objects), "
     "but no trigger fires for them: changes after that are not followed.",
     "`rebeco resync --large-objects new` copies those that have come since, `all` compares every "
     "one: before the cutover, while the application rests. Or move them into bytea columns."},
    {"large-object-privilege", CHECK_WARNING,
     "Our role may not read these large objects: they will be missing at the target.",
     "GRANT SELECT ON LARGE OBJECT ... TO the role of the URL, or make it a member of their "
     "owner."},
    {"other-replication", CHECK_WARNING,
     "Triggers of another replication tool are on these tables. They go on firing, and cost time.",
     "Remove the other tool if it is not used any more."},
    {"publication-all-tables", CHECK_WARNING,
     "A publication FOR ALL TABLES takes in Rebeco's tables too. Subscribers do not have them, and "
     "stop with an error at the first change.",
     "Publish the tables or schemas by name, or create schema rebeco's tables at the subscribers "
     "as well."},
    {"source-publication-identity", CHECK_WARNING,
     "These tables are published with updates or deletes but have no replica identity: the server "
     "refuses to update or delete their rows, also for the application.",
     "ALTER TABLE ... REPLICA IDENTITY USING INDEX or FULL, or take them out of the publication."},
    {"sequence-privilege", CHECK_BLOCKER,
     "Our role may not read these sequences, so they would not be carried over, and the target "
     "would give out numbers that exist.",
     "GRANT SELECT ON SEQUENCE ... (and USAGE on its schema) TO the role of the URL."},
    {"sequence-near-limit", CHECK_WARNING,
     "These sequences have used up more than four fifths of their range.",
     "ALTER SEQUENCE ... AS bigint MAXVALUE ..., best before the migration."},
    {"key-near-limit", CHECK_WARNING,
     "These number columns have used up more than four fifths of what their type can hold.",
     "Change the column to bigint. It is easiest at the target before the copy - but then at the "
     "source too: both ends must have the same type."},
    {"invalid-index", CHECK_NOTE,
     "These tables have an invalid index, left by a failed CREATE INDEX CONCURRENTLY. It is not "
     "copied and serves as no key.",
     "DROP INDEX it, or REINDEX INDEX CONCURRENTLY it."},
    {"foreign-partition", CHECK_BLOCKER,
     "These tables have a partition that is a foreign table. Its rows are elsewhere, and whatever "
     "is done to the table would be done there, too: rows written twice, or all removed before a "
     "copy. The table is not replicated.",
     "ALTER TABLE ... DETACH PARTITION the foreign table, or exclude the table."},
    {"foreign-table", CHECK_NOTE, "The rows of foreign tables are elsewhere: they are not copied.",
     "Make sure that the target can reach the same foreign server, if it is needed."},
    {"temporary-table", CHECK_NOTE, "Temporary tables belong to a session and are not copied.",
     "Nothing."},
    {"inheritance", CHECK_NOTE,
     "Tables inherit from these tables. Each is copied by itself, with its own rows only.",
     "Nothing; but include or exclude the whole family."},
    {"partitioned-table", CHECK_NOTE,
     "Partitioned tables are replicated as one table; the target may be partitioned otherwise.",
     "Nothing. Partitions cannot be included or excluded by themselves."},
    {"tablespace", CHECK_NOTE,
     "These tables are in a tablespace of their own. At the target they are created in the default "
     "one.",
     "Nothing, or create the tables at the target yourself (schema: expect)."},
    {"generated-column", CHECK_NOTE, "Generated columns are not copied: the target computes them.",
     "Nothing; but their expressions must give the same at both ends."},
    {"identity-always", CHECK_NOTE,
     "Columns that are GENERATED ALWAYS AS IDENTITY are written with the source's values.",
     "Nothing."},
    {"text-copy", CHECK_NOTE,
     "Columns of these types may have other type numbers at the target. The tables are copied as "
     "text, which is somewhat slower.",
     "Nothing."},
    {"disk-need", CHECK_NOTE,
     "The target needs at least this space, and while indexes are built about as much as the "
     "largest one again. No server tells how much it has free.",
     "Compare it with the size of the target's disk; leave a third free."},
    {"log-growth", CHECK_NOTE,
     "While the target cannot be reached, change logs grow at the source at about this rate.",
     "Leave room on the source's disk for the longest outage; the option log_limit warns before."},

    /* ---- the two ends together */
    {"encoding-unfit", CHECK_BLOCKER,
     "The target's encoding cannot hold every character of the source's.",
     "Create the target database with ENCODING 'UTF8' (TEMPLATE template0)."},
    {"encoding-unchecked", CHECK_WARNING,
     "One end has the encoding SQL_ASCII: its bytes were never checked, and text that is not valid "
     "in the other end's encoding stops its table.",
     "Find and mend such rows at the source before you start."},
    {"encoding-differs", CHECK_WARNING,
     "The encodings differ. Every character is converted; text that is not valid at the source "
     "stops its table.",
     "Nothing, if the source's text is sound."},
    {"locale-differs", CHECK_WARNING,
     "The databases sort and compare text by different locales: ORDER BY, ranges of text and "
     "upper() give other results at the target.",
     "Create the target database with the source's LC_COLLATE, LC_CTYPE and locale provider "
     "(TEMPLATE template0), if the application depends on it."},
    {"collation-missing", CHECK_BLOCKER, "Columns use a collation that the target does not have.",
     "Install it at the target's system and run pg_import_system_collations, or give the columns "
     "another collation."},
    {"type-missing", CHECK_BLOCKER, "Columns have a type that the target does not have.",
     "Change the columns' type, use a target of a later version, or install the type at the "
     "target."},
    {"extension-unavailable", CHECK_BLOCKER,
     "The tables use an extension that the target's server does not offer.",
     "Ask the provider, choose a target that has it, or change the columns or indexes that use "
     "it."},
    {"extension-unused", CHECK_WARNING,
     "The source has an extension that the target's server does not offer. No column or index of "
     "these tables uses it; functions, views and defaults may.",
     "Make sure that the application does without it at the target."},
    {"extension-not-installed", CHECK_WARNING,
     "The target's server offers this extension, but it is not installed in the database. The "
     "schema copy tries to install it, which may need more rights than ours.",
     "At the target run the statement above."},
    {"extension-older", CHECK_WARNING,
     "The target has an older version of this extension: types or functions may be missing.",
     "ALTER EXTENSION ... UPDATE at the target, or a later version of the server."},
    {"extension-schema", CHECK_WARNING,
     "The extension lives in another schema at the target. Defaults, functions and views that "
     "name its schema cannot be created there.",
     "ALTER EXTENSION ... SET SCHEMA at the target (or DROP and CREATE EXTENSION ... SCHEMA) to "
     "have it where the source has it."},
    {"pg-dump-missing", CHECK_BLOCKER,
     "The schema is to be copied, but no pg_dump and pg_restore that fit the source's version were "
     "found on this machine.",
     "Install PostgreSQL's client programs of at least the source's version where Rebeco runs, or "
     "create the schema yourself and set schema: expect."},

    /* ---- the target's tables */
    {"target-table-missing", CHECK_BLOCKER, "The target lacks tables, and they will not be made.",
     "Create them at the target, or set schema: copy, or exclude them."},
    {"target-table-exists", CHECK_WARNING,
     "The schema is to be copied (schema: copy), but the target has these tables already. They are "
     "left as they are and reported.",
     "Drop them at the target if they are not wanted, or set schema: expect."},
    {"target-not-a-table", CHECK_BLOCKER,
     "Something else at the target has the name of a table of the source.",
     "Rename or drop it at the target, or exclude the table."},
    {"target-not-empty", CHECK_BLOCKER,
     "The target's tables are not empty, though this sync never ran: rows would collide or stay "
     "behind.",
     "TRUNCATE them at the target if their rows are not wanted. If they are, this is the wrong "
     "target."},
    {"target-table-privilege", CHECK_BLOCKER, "Our role may not write these tables at the target.",
     "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ... TO the role of the URL, or make it the "
     "owner."},
    {"target-schema-privilege", CHECK_BLOCKER,
     "Our role may not use these schemas at the target, or create tables there.",
     "GRANT USAGE, CREATE ON SCHEMA ... TO the role of the URL."},
    {"target-key-missing", CHECK_BLOCKER,
     "The target's tables have no unique index on the columns that tell the source's rows apart.",
     "At the target: ALTER TABLE ... ADD PRIMARY KEY, as at the source."},
    {"target-column-missing", CHECK_BLOCKER, "The target's tables lack columns of the source.",
     "At the target: ALTER TABLE ... ADD COLUMN ..."},
    {"target-column-type", CHECK_BLOCKER, "Columns have different types at the two ends.",
     "At the target: ALTER TABLE ... ALTER COLUMN ... TYPE ..., to what it is at the source."},
    {"target-column-generated", CHECK_BLOCKER, "Columns are generated at one end only.",
     "Make them the same at both ends."},
    {"target-column-expression", CHECK_WARNING,
     "Columns are generated by another expression at the target: their values may differ there. "
     "Rebeco does not write them, and does not see when an expression is changed.",
     "Make them the same at both ends: ALTER TABLE ... ALTER COLUMN ... SET EXPRESSION (from "
     "PostgreSQL 17 on), or drop the column and add it again."},
    {"target-column-not-null", CHECK_BLOCKER,
     "Columns may be NULL at the source but not at the target: the first such row would stop the "
     "table.",
     "At the target: ALTER TABLE ... ALTER COLUMN ... DROP NOT NULL; or SET NOT NULL at the "
     "source."},
    {"target-column-required", CHECK_BLOCKER,
     "The target's tables have more columns, which need a value and have no default.",
     "At the target: ALTER TABLE ... ALTER COLUMN ... SET DEFAULT ... or DROP NOT NULL."},
    {"target-column-extra", CHECK_NOTE,
     "The target's tables have more columns. They get their default and are then left alone.",
     "Nothing."},
    {"replica-role-refused", CHECK_WARNING,
     "Our role may not set session_replication_role at the target, so triggers and foreign keys "
     "there stay on while rows arrive: they cost time, and may refuse rows.",
     "PostgreSQL 15 and later, as superuser: GRANT SET ON PARAMETER session_replication_role TO "
     "the role of the URL. At RDS: use the master user. Otherwise see target-trigger and "
     "target-foreign-key."},
    {"target-rule", CHECK_BLOCKER,
     "Rewrite rules change or refuse what Rebeco writes into these tables at the target (or will, "
     "once the schema is copied).",
     "Replace the rules by triggers, drop them at the target (with schema: expect), or exclude the "
     "tables."},
    {"target-trigger", CHECK_WARNING,
     "Triggers will fire at the target for rows that arrive: what they do was done at the source "
     "already, and arrives as well.",
     "ALTER TABLE ... DISABLE TRIGGER ... at the target until the cutover; or let our role set "
     "session_replication_role, and have no trigger ENABLE ALWAYS or REPLICA. If they shall fire: "
     "tables.fire_triggers."},
    {"target-foreign-key", CHECK_WARNING,
     "Foreign keys stay on at the target while rows arrive: each is checked, which costs time. "
     "Rows "
     "are written in their order. Where no order will do (cycles, keys that change together with "
     "unique values), foreign keys that are not DEFERRABLE are made so for one transaction, which "
     "keeps readers of their table out for its length.",
     "Let our role set session_replication_role; or at the target: ALTER TABLE ... ALTER "
     "CONSTRAINT "
     "... DEFERRABLE, until the cutover; or drop them until then."},
    {"target-foreign-key-early", CHECK_BLOCKER,
     "The target's tables have foreign keys before their rows are there, and our role may not "
     "switch "
     "them off: tables that are copied side by side would be refused.",
     "Drop them at the target and create them again when the copy is done (the schema copy does it "
     "like that), or let our role set session_replication_role."},
    {"target-foreign-key-acts", CHECK_BLOCKER,
     "Foreign keys of the target change or remove rows by themselves (ON DELETE, ON UPDATE) where "
     "the source's do not, and our role may not switch them off: rows would be lost.",
     "At the target, create them again as they are at the source, or let our role set "
     "session_replication_role."},
    {"target-subscription", CHECK_WARNING,
     "A subscription (logical replication) writes the same tables at the target.",
     "Drop the subscription, or disable it for good: two writers would overwrite each other."},
    {"target-publication-identity", CHECK_BLOCKER,
     "These tables of the target are published with updates or deletes but have no replica "
     "identity: the server will refuse Rebeco's updates and deletes.",
     "At the target: ALTER TABLE ... REPLICA IDENTITY USING INDEX or FULL, or take them out of the "
     "publication."},
    {NULL, CHECK_NOTE, NULL, NULL},
};

const struct check_code *check_code_find(const char *code)
{
    for (const struct check_code *c = check_codes; c->code; c++)
        if (strcmp(c->code, code) == 0)
            return c;
    return NULL;
}

const char *check_severity_name(enum check_severity s)
{
    switch (s) {
    case CHECK_BLOCKER:
        return "blocker";
    case CHECK_WARNING:
        return "warning";
    case CHECK_NOTE:
        return "note";
    case CHECK_SEVERITIES:
        break;
    }
    return "";
}

void check_print_codes(void)
{
    for (const struct check_code *c = check_codes; c->code; c++)
        printf("%s (%s)\n    %s\n    What to do: %s\n\n", c->code, check_severity_name(c->severity),
               c->means, c->remedy);
}
