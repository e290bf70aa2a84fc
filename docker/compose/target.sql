-- An empty database, and what a hosted server's master user may do.
CREATE ROLE master LOGIN NOSUPERUSER CREATEROLE CREATEDB;
GRANT SET ON PARAMETER session_replication_role TO master;
CREATE DATABASE shop OWNER master;
