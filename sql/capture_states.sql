-- What is wrong with a capture. The keys it logs must be those by which the rows are read: where the
-- table's key is another one now, capture is made anew and the table copied again.
-- $1 int: the capture; $2 oid: the index that is the table's key now
-- Result: problem text (NULL: nothing), is_lossy boolean. Lowest server version: 11.
SELECT coalesce(k.problem, s.problem) AS problem, s.is_lossy OR k.problem IS NOT NULL AS is_lossy
  FROM rebeco.capture_state($1::int) s
  LEFT JOIN LATERAL (
        SELECT format('the key was (%s) and is another one now', pg_catalog.array_to_string(c.key_columns, ', ')) AS problem
          FROM rebeco.capture c JOIN pg_catalog.pg_index i ON i.indexrelid = $2::oid
         WHERE c.id = $1 AND c.key_attnums <> i.indkey[0:i.indnkeyatts - 1]::smallint[]) k ON true
