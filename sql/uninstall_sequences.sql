-- Gives the sequences of two-way syncs their own steps again. Nothing where there were none.
-- Lowest server version: 12.
DO 'BEGIN IF pg_catalog.to_regprocedure(''rebeco.sequences_together(boolean)'') IS NOT NULL THEN PERFORM rebeco.sequences_together(true); END IF; END'
