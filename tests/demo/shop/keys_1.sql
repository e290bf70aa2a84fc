-- Keys, indexes and triggers of the two largest tables; keys_2.sql runs beside it.

\set ON_ERROR_STOP on
SET maintenance_work_mem = '128MB';

ALTER TABLE shop.order_item ADD PRIMARY KEY (order_id, line);
CREATE INDEX ON shop.order_item (product_id);
ALTER TABLE shop.orders ADD PRIMARY KEY (id);
CREATE INDEX ON shop.orders (customer_id);
CREATE INDEX ON shop.orders (placed_at DESC) WHERE status IN ('new', 'paid');
CREATE TRIGGER touch BEFORE UPDATE ON shop.orders
    FOR EACH ROW EXECUTE FUNCTION shop.touch();
