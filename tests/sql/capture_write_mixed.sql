-- The same in the form that plain tables have: INSERT and DELETE by statement, UPDATE by row.
\set form auto
\i tests/sql/capture_write.sql
