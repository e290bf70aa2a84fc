-- From where the way back of a two-way sync reads a table whose rows were copied, or copied again: replicator/two_way.c says why.
ALTER TABLE rebeco.sync_table
    ADD COLUMN back_since txid_snapshot; -- of this server
