-- Has any sequence changed since we asked last? Quick, also for thousands of them.
-- No parameters. Runs at the source. Result: one row: glance, a word to compare with the last one;
-- NULL: it cannot be told. Lowest server version: 10.
SELECT rebeco.sequence_glance() AS glance
