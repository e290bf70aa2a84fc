-- Was this source told that the target has more than the target says itself? Then the target has lost commits:
-- it went over to a standby that was behind, or was restored from a backup. What was confirmed here may be gone
-- from the change logs.
-- $1 text: the consumer; $2 text: the target's position, NULL: it has none
-- Result: is_ahead boolean; no row where the consumer is not known, or has confirmed nothing. Lowest server version: 10.
SELECT $2::text IS NULL OR pg_catalog.txid_snapshot_xmax(c.snapshot) > pg_catalog.txid_snapshot_xmax($2::txid_snapshot)
       OR EXISTS (SELECT 1 FROM pg_catalog.txid_snapshot_xip($2::txid_snapshot) x WHERE pg_catalog.txid_visible_in_snapshot(x, c.snapshot)) AS is_ahead
  FROM rebeco.consumer c
 WHERE c.consumer = $1 AND c.snapshot IS NOT NULL
