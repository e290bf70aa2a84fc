-- Asks the daemon of a sync for something: a row for each table, or one for the whole sync.
-- $1 text: the sync; $2 text: pause, resume, kick, resync, retry, skip or direction;
-- $3 text: the tables as JSON, [{"s": schema, "n": name, "k": a row's key, or the direction}, ..]; NULL: the whole sync
-- Result: ids text (of the rows, as an array). Lowest server version: 10.
WITH wanted AS (
    SELECT t.s, t.n, t.k
      FROM pg_catalog.json_to_recordset(coalesce($3::json, '[{}]'::json)) AS t (s text, n text, k text)
), sent AS (
    INSERT INTO rebeco.command (sync, verb, table_schema, table_name, key)
    SELECT $1, $2, w.s, w.n, w.k FROM wanted w
    RETURNING id
)
SELECT (SELECT pg_catalog.array_agg(s.id)::text FROM sent s) AS ids,
       pg_catalog.pg_notify('rebeco_command', $1)
