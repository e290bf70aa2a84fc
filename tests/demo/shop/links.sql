-- Foreign keys, and materialized views one on top of the other; after both keys_*.sql.

\set ON_ERROR_STOP on

ALTER TABLE shop.customer ADD FOREIGN KEY (country) REFERENCES shop.country;
ALTER TABLE shop.product_image ADD FOREIGN KEY (product_id) REFERENCES shop.product;
ALTER TABLE shop.orders ADD FOREIGN KEY (customer_id) REFERENCES shop.customer,
    ADD FOREIGN KEY (coupon) REFERENCES shop.coupon ON UPDATE CASCADE;
ALTER TABLE shop.order_item ADD FOREIGN KEY (order_id) REFERENCES shop.orders ON DELETE CASCADE,
    ADD FOREIGN KEY (product_id) REFERENCES shop.product;
ALTER TABLE shop.payment ADD FOREIGN KEY (order_id) REFERENCES shop.orders;
ALTER TABLE web.cart ADD FOREIGN KEY (customer_id) REFERENCES shop.customer;
ALTER TABLE web.cart_item ADD FOREIGN KEY (cart_id) REFERENCES web.cart ON DELETE CASCADE,
    ADD FOREIGN KEY (product_id) REFERENCES shop.product;
ALTER TABLE "Stock & Goods"."Level" ADD FOREIGN KEY (product_id) REFERENCES shop.product;
CREATE INDEX ON shop.orders (coupon) WHERE coupon IS NOT NULL;

CREATE MATERIALIZED VIEW shop.daily_sales AS
    SELECT o.placed_at::date AS day, count(DISTINCT o.id) AS orders, sum(i.total) AS revenue
      FROM shop.orders o JOIN shop.order_item i ON i.order_id = o.id
     GROUP BY 1;
CREATE UNIQUE INDEX ON shop.daily_sales (day);
CREATE MATERIALIZED VIEW shop.monthly_sales AS
    SELECT date_trunc('month', day)::date AS month, sum(orders) AS orders, sum(revenue) AS revenue
      FROM shop.daily_sales
     GROUP BY 1;

SET client_min_messages = error;        -- it would warn of every catalog that is not ours
ANALYZE;
