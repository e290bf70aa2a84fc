-- Records the snapshot in which a table was copied in one piece: its changes are read from there. In the
-- transaction that loads its rows.
-- $1 text: sync; $2 int: table; $3 text: the snapshot. Lowest server version: 10.
SELECT rebeco.image_copied($1, $2::int, $3::txid_snapshot)
