-- A source that has changed and was accepted by a person (`rebeco accept`).
ALTER TABLE rebeco.sync
    ADD COLUMN replaces boolean NOT NULL DEFAULT false, -- until the sync follows: first copies replace rows
    ADD COLUMN former_consumer text;                    -- its name at the source before
