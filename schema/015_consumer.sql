-- The readers of change logs at a source. Several syncs may read one source, each at its own position:
-- a log is emptied when all of its readers have it, and a capture ends with its last reader.
--
-- Why no reader misses a change when a capture is made anew, which throws its log away
-- * A reader's position says what it has of one log. With the position its target keeps the oid of that
--   log, written in the transaction that records the table. A log made anew has another oid.
-- * Each look for changes compares that oid with the one of the log that it reads (probe_statements.sql),
--   in the statement that reads and under the lock that reading takes: a log cannot be exchanged
--   between the two, and one that was exchanged after the reader's snapshot is noticed too, although
--   the snapshot sees no row of the new one.
-- * A batch ends only after such a look at every table of it. So a position never passes over a log
--   that is gone: the table is copied again, from a new position, with the new log's oid.

-- A sync no longer reads a table. Whoever takes a capture away, or begins to read it, locks its row
-- first: a reader that comes at this moment keeps it.
CREATE FUNCTION rebeco.consumer_leave(consumer_name text, capture_number int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM 1 FROM rebeco.capture c WHERE c.id = capture_number FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM rebeco.capture_hand_over(capture_number, (SELECT c.relid FROM rebeco.capture c WHERE c.id = capture_number));
    DELETE FROM rebeco.consumer_table t WHERE t.consumer = consumer_name AND t.capture_id = capture_number;
    IF NOT EXISTS (SELECT 1 FROM rebeco.consumer_table t WHERE t.capture_id = capture_number) THEN
        PERFORM rebeco.capture_remove(capture_number);
    ELSE
        PERFORM rebeco.chain_leave(capture_number);
    END IF;
END
$$;
