-- Ends a batch in its own transaction: from here on the sync is at the batch's end.
-- $1 text: sync; $2 bigint: our owner number; $3 text: where the batch began, NULL the first time;
-- $4 text: its end; $5 text: when that was taken; $6 int[]: tables that join the sync's position;
-- $7 boolean: the target is now one state of the source; $8 json: [{s, n, oid}], the tables that were written to: schema,
-- name, and which table is meant by it. Lowest server version: 10.
SELECT rebeco.sync_advance($1, $2::bigint, $3::txid_snapshot, $4::txid_snapshot, $5::timestamptz, $6::int[], $7::boolean, $8::json)
