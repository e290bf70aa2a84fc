-- A customer places an order of one to five lines; the stock goes down.
\set customer random(1, 150000)
\set lines random(1, 5)
\set product random(1, 19990)
\set coupon random(1, 40000)
BEGIN;
INSERT INTO shop.orders (customer_id, note, coupon)
VALUES (:customer, 'order of customer ' || :customer,
        (SELECT code FROM shop.coupon WHERE code = 'SAVE-' || :coupon FOR KEY SHARE))
RETURNING id AS order_id \gset
INSERT INTO shop.order_item (order_id, line, product_id, quantity, unit_price)
SELECT :order_id, line, :product + line, 1 + line % 3, p.price
  FROM generate_series(1, :lines) AS line JOIN shop.product p ON p.id = :product + line;
UPDATE "Stock & Goods"."Level" SET "on hand" = "on hand" - 1
 WHERE warehouse = 1 AND product_id = :product + 1;
INSERT INTO audit.event (bucket, kind, order_id, detail)
VALUES (:order_id % 35, 'placed', :order_id, jsonb_build_object('lines', :lines));
COMMIT;
