-- A customer changes his mind: half of the transaction is rolled back to a savepoint, and sometimes
-- all of it.
\set customer random(1, 150000)
\set product random(1, 20000)
\set all random(1, 4)
BEGIN;
UPDATE shop.customer SET preferences = preferences || jsonb_build_object('size', :product % 60)
 WHERE id = :customer;
SAVEPOINT before_order;
INSERT INTO shop.orders (customer_id, note) VALUES (:customer, 'never to be seen');
UPDATE shop.product SET price = price + 1000 WHERE id = :product;
ROLLBACK TO SAVEPOINT before_order;
UPDATE shop.product SET attributes = attributes || '{"looked at": true}' WHERE id = :product;
\if :all = 1
ROLLBACK;
\else
COMMIT;
\endif
