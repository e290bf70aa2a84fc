-- Gives each end values of its own, of the sequences that were read at the source.
-- $1 text: sync; $2 boolean: this is the source; $3 jsonb: the sequences, as sql/sequence_read.sql says at the
-- source, or this statement said there; $4 text: interleave or offset. Result: sequences text, those that were looked at; fresh int, how many
-- of them were not apart before: if any, there may be more.
-- Lowest server version: 12.
SELECT a.answer::text AS sequences, (SELECT pg_catalog.count(*)::int FROM pg_catalog.jsonb_array_elements(a.answer) e (doc) WHERE e.doc -> 'fresh' = 'true') AS fresh
  FROM rebeco.sequences_apart($1, $2::boolean, $3::jsonb, $4) a (answer)
