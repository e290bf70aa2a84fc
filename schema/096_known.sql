-- Which tables were asked for when a sync was new. With new_tables: false those that are not among them came later, and
-- stay out; one of them that could not be captured yet, or waits for a person, is still taken in, whatever dies.
ALTER TABLE rebeco.sync
    ADD COLUMN known_tables oid[]; -- at the source; NULL: not said yet, or by a version that did not say it
