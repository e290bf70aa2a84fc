\set product random(1, 1000)
BEGIN;
UPDATE product SET stock = stock - 1 WHERE id = :product;
INSERT INTO purchase (product) VALUES (:product);
COMMIT;
