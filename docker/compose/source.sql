-- A shop, owned by a role that may do no more than that: what a hosted database gives its customers.
CREATE ROLE shop LOGIN NOSUPERUSER NOREPLICATION;
CREATE DATABASE shop OWNER shop;
\connect shop
SET ROLE shop;
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, stock int NOT NULL);
CREATE TABLE purchase (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    product int NOT NULL REFERENCES product,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON purchase (product, at);
INSERT INTO product SELECT i, 'product ' || i, 1000000 FROM generate_series(1, 1000) i;
INSERT INTO purchase (product, at) SELECT 1 + i % 1000, now() - i * interval '1 s' FROM generate_series(1, 200000) i;
