-- Which of these tables hold rows already.
-- $1 text: their oids as an array. Result: oid bigint. Lowest server version: 10.
SELECT t.oid::bigint AS oid FROM rebeco.tables_with_rows($1::oid[]) t (oid)
