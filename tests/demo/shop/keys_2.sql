-- Keys and indexes of the other tables; see keys_1.sql.

\set ON_ERROR_STOP on
SET maintenance_work_mem = '128MB';

ALTER TABLE shop.country ADD PRIMARY KEY (code);
ALTER TABLE shop.customer ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX customer_email_key ON shop.customer (lower(email::text));
CREATE INDEX ON shop.customer USING gin (preferences);
ALTER TABLE shop.product ADD PRIMARY KEY (id), ADD UNIQUE (sku);
ALTER TABLE shop.product_image ADD PRIMARY KEY (product_id, position);
ALTER TABLE shop.coupon ADD PRIMARY KEY (code);
ALTER TABLE shop.payment ADD PRIMARY KEY (id), ADD UNIQUE (invoice);
CREATE INDEX ON shop.payment (order_id);
ALTER TABLE web.cart ADD PRIMARY KEY (id);
ALTER TABLE web.cart_item ADD PRIMARY KEY (cart_id, product_id);
ALTER TABLE "Stock & Goods"."Level" ADD PRIMARY KEY (warehouse, product_id);
ALTER TABLE audit.event ADD PRIMARY KEY (bucket, id);
CREATE INDEX ON audit.event (order_id);
