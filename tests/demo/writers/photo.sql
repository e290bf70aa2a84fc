-- A picture of a product is replaced by another one.
\set product random(1, 1500)
UPDATE shop.product_image
   SET content = substr(content, 101) || sha256(clock_timestamp()::text::bytea) WHERE product_id = :product;
