-- Changes when a trigger or function of ours was made, dropped, disabled or altered, when a foreign key with an action has come,
-- when a type, a collation or a schema has another name (rebeco.capture_names()), or when the server has crashed, or when
-- keys of a dropped partition are owed. Cheap, however many
-- tables there are: what it means is asked afterwards, of each capture, so a function that we have made anew ourselves, as each
-- rotation of a log does, is no change.
-- Result: stamp text. Lowest server version: 10.
SELECT pg_catalog.concat_ws(' ',
    (SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*),
                pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', t.oid, t.xmin, t.tgenabled))::bigint))
       FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      WHERE p.pronamespace = 'rebeco'::regnamespace AND p.proname <> 'log_guard'),
    (SELECT pg_catalog.count(*) FROM rebeco.capture_alive),
    (SELECT pg_catalog.count(*) FROM rebeco.consumer_table),
    (SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*), pg_catalog.max(g.id)) FROM rebeco.partition_gone g),
    (SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*),
                pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', p.oid, CASE WHEN p.xmin::text IS DISTINCT FROM c.function_xmin THEN p.xmin END))::bigint))
       FROM pg_catalog.pg_proc p LEFT JOIN rebeco.capture c ON p.proname::text = 'capture_' || c.id
      WHERE p.pronamespace = 'rebeco'::regnamespace),
    (SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*), pg_catalog.max(k.oid)) FROM pg_catalog.pg_constraint k
      WHERE k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))),
    (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', t.oid, t.typname, t.typnamespace))::bigint)
       FROM pg_catalog.pg_type t WHERE t.oid >= 16384 AND t.typtype <> 'c' AND t.typcategory <> 'A'),
    (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', r.oid, r.relname, r.relnamespace))::bigint)
       FROM pg_catalog.pg_class r WHERE r.relkind = 'c'), -- composite types; those of tables come and go with them
    (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', o.oid, o.collname, o.collnamespace))::bigint)
       FROM pg_catalog.pg_collation o WHERE o.oid >= 16384),
    (SELECT pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', n.oid, n.nspname))::bigint)
       FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_(toast_)?temp_'),
    (SELECT pg_catalog.count(*) FROM rebeco.capture)) AS stamp
