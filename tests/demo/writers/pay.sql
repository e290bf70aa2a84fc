-- An order among the last ones is paid; the invoice gets the next number.
\set back random(1, 3000)
BEGIN;
WITH due AS (
    SELECT id FROM shop.orders WHERE id >= (SELECT max(id) - :back FROM shop.orders)
       AND status = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
), paid AS (
    UPDATE shop.orders o SET status = 'paid' FROM due WHERE o.id = due.id RETURNING o.id
)
INSERT INTO shop.payment (order_id, invoice, amount, details)
SELECT id, nextval('shop.invoice_number'), 10 + id % 90, '{"card": 1}' FROM paid;
COMMIT;
