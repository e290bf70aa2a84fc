-- Do both ends remember the same of this sync? When the source was told that the target has more than the target says
-- itself, the target has lost commits: it went over to a standby that was behind, or was restored from a backup. What was
-- confirmed here may be gone from the change logs. When the source knows less than it has once noted, it has lost commits.
-- $1 text: the consumer; $2 text: the target's position, NULL: it has none; $3 text: what the source has noted once, NULL: unknown
-- Result: is_ahead boolean, is_behind boolean; no row where the consumer is not known, or has confirmed nothing.
-- Lowest server version: 10.
SELECT $2::text IS NULL OR rebeco.snapshot_has_more(c.snapshot, $2::txid_snapshot) AS is_ahead,
       coalesce(rebeco.snapshot_has_more($3::txid_snapshot, c.snapshot), false) AS is_behind
  FROM rebeco.consumer c
 WHERE c.consumer = $1 AND c.snapshot IS NOT NULL
