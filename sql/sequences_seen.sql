-- Notes how far the other end has gone with the sequences of a two-way sync.
-- $1 boolean: this is the source; $2 jsonb: what sequences_apart.sql gave at the other end. Lowest server version: 12.
SELECT rebeco.sequences_seen($1::boolean, $2::jsonb)
