-- Asks the daemon of a sync for something: a row for each table, or one for the whole sync.
-- $1 text: the sync; $2 text: pause, resume, kick or resync;
-- $3 text: the tables as JSON, [{"s": schema, "n": name}, ..]; NULL: the whole sync
-- Result: ids text (of the rows, as an array). Lowest server version: 10.
WITH wanted AS (
    SELECT t.s, t.n
      FROM pg_catalog.json_to_recordset(coalesce($3::json, '[{}]'::json)) AS t (s text, n text)
), sent AS (
    INSERT INTO rebeco.command (sync, verb, table_schema, table_name)
    SELECT $1, $2, w.s, w.n FROM wanted w
    RETURNING id
)
SELECT (SELECT pg_catalog.array_agg(s.id)::text FROM sent s) AS ids,
       pg_catalog.pg_notify('rebeco_command', $1)
