-- Captures one table. In a transaction of its own, with SET LOCAL lock_timeout; tried again when the
-- lock cannot be had. What is there and intact stays; what is not is made anew.
-- $1 oid: the table, $2 oid: the unique index that is its key, $3 text: auto, row or statement
-- Result: id int, the capture's number. Lowest server version: 11.
SELECT rebeco.capture_install($1::oid, $2::oid, $3::text) AS id
