-- A crash of the target empties unlogged tables there, and the position stays. This table is emptied with them: a
-- table of a sync that is not in it, and is unlogged here, has lost its rows (sql/tables_list.sql).
CREATE UNLOGGED TABLE rebeco.target_alive (
    sync text NOT NULL,
    table_id int NOT NULL,
    PRIMARY KEY (sync, table_id),
    FOREIGN KEY (sync, table_id) REFERENCES rebeco.sync_table ON DELETE CASCADE
);
INSERT INTO rebeco.target_alive (sync, table_id) SELECT t.sync, t.id FROM rebeco.sync_table t;
