-- A visitor fills a cart; a forgotten cart is thrown away, its items with it.
\set product random(1, 19990)
\set old random(1, 60000)
BEGIN;
WITH cart AS (INSERT INTO web.cart (customer_id) VALUES (NULL) RETURNING id)
INSERT INTO web.cart_item
SELECT cart.id, :product + step, 1 + step FROM cart, generate_series(0, 1) AS step;
DELETE FROM web.cart WHERE id = md5('cart ' || :old)::uuid;
COMMIT;
