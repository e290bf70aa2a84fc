-- Decides, at the target, who wins where both ends have changed a row.
-- $1 int: the capture here; $2 text, $3 text: the round's snapshots here; $4 json: what
-- sql/two_way_details.sql says at the source; $5 text: the policy; $6 text: by how many seconds the target's
-- clock is ahead of the source's; $7 text: the sync, if the last round did not get through in the other direction and
-- `skip` may have been decided, else NULL; $8 int: of how many slices these keys are one; $9 bigint: as in that file
-- Result: verdict json, see rebeco.two_way_decide(). Lowest server version: 12.
SELECT rebeco.two_way_decide($1::int, $2::txid_snapshot, $3::txid_snapshot, $4::json, $5, ($6 || ' s')::interval, $7, $8::int, $9::bigint)::text AS verdict
