-- The same for those of a sync that was taken away.
-- Lowest server version: 12.
DO 'BEGIN IF pg_catalog.to_regprocedure(''rebeco.sequences_together(boolean)'') IS NOT NULL THEN PERFORM rebeco.sequences_together(false); END IF; END'
