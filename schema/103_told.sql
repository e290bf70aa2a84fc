-- What a source is known to have noted about a sync's position, and by which name it knows the sync.
--
-- A source that was restored from a copy of its files (a snapshot of its disk) has the same identity and the same
-- timeline. That its transaction numbers lie below our position shows only until the application has used up as many; from
-- then on those numbers mean other transactions, and changes between the two would never be read. What it
-- has noted does not grow back: it is less than what it once had on disk, by what it has answered. Written with the
-- status, so it may be some seconds less than that, never more.
ALTER TABLE rebeco.status
    ADD COLUMN told txid_snapshot, -- what the source has confirmed to have on disk
    ADD COLUMN told_as text;       -- rebeco.sync.consumer at that time: after `accept` it is another one

CREATE FUNCTION rebeco.snapshot_has_more(one txid_snapshot, other txid_snapshot) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT txid_snapshot_xmax(one) > txid_snapshot_xmax(other)
           OR EXISTS (SELECT 1 FROM txid_snapshot_xip(other) x WHERE txid_visible_in_snapshot(x, one))
$$;
