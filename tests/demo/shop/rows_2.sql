-- The second half of the rows; see rows_1.sql.

\set ON_ERROR_STOP on

INSERT INTO shop.country
SELECT chr(65 + n / 26) || chr(65 + n % 26), 'Country number ' || n, 15 + n % 12
  FROM generate_series(0, 199) AS n;

INSERT INTO shop.customer (email, name, country, lives_at, preferences, tags, created_at)
SELECT 'Customer.' || n || '@example.org',
       (ARRAY['Ana', 'Björn', 'Chloé', 'Дмитрий', 'Eve', '文', 'O''Neill', 'Zoë "Z" B.'])[1 + n % 8]
           || ' ' || n,
       chr(65 + n % 200 / 26) || chr(65 + n % 200 % 26),
       ROW('Main street ' || n % 300, lpad((n % 99999)::text, 5, '0'), E'City, "N" \\ ' || n % 700)::shop.address,
       jsonb_build_object('newsletter', n % 3 = 0, 'language', 'l' || n % 20, 'size', n % 50),
       CASE WHEN n % 5 = 0 THEN ARRAY['vip', 'since ' || n % 20] ELSE '{}' END,
       now() - n * interval '5 minutes'
  FROM generate_series(1, 150000) AS n;

INSERT INTO shop.product (sku, title, price, weight_kg, active, attributes)
SELECT 'SKU-' || lpad(n::text, 6, '0'), 'Product ' || md5(n::text), 1 + (n % 9900) / 100.0,
       CASE WHEN n % 7 > 0 THEN random() * 30 END, n % 40 > 0,
       jsonb_build_object('colour', n % 12, 'sizes', jsonb_build_array(n % 5, n % 9),
                          'text', repeat('very good ', n % 20))
  FROM generate_series(1, 20000) AS n;

-- 1,500 pictures of 8 to 40 kB, of bytes that do not compress.
INSERT INTO shop.product_image (product_id, position, content)
SELECT n, 1, (SELECT string_agg(sha512((n || '/' || i)::bytea), NULL)
                FROM generate_series(1, 128 + n % 512) AS i)
  FROM generate_series(1, 1500) AS n;

INSERT INTO shop.coupon (code, discount, valid)
SELECT 'SAVE-' || n, 1 + n % 30, tstzrange(now() - interval '1 year', now() + interval '1 year')
  FROM generate_series(0, 4999) AS n;

INSERT INTO shop.payment (order_id, invoice, amount, paid_at, details)
SELECT n, nextval('shop.invoice_number'), 20 + (n % 9900) / 100.0,
       now() - (400000 - n) * interval '90 seconds' + interval '1 hour',
       CASE WHEN n % 3 > 0 THEN jsonb_build_object('card', n % 10000, 'network', 'N' || n % 5) END
  FROM generate_series(1, 360000) AS n;

INSERT INTO web.cart (id, customer_id, touched_at)
SELECT md5('cart ' || n)::uuid, CASE WHEN n % 3 > 0 THEN 1 + n % 150000 END,
       now() - n * interval '20 seconds'
  FROM generate_series(1, 60000) AS n;

INSERT INTO web.cart_item (cart_id, product_id, quantity)
SELECT md5('cart ' || 1 + n / 2)::uuid, 1 + (n * 31 + n % 2) % 20000, 1 + n % 3
  FROM generate_series(0, 119999) AS n;

INSERT INTO "Stock & Goods"."Level"
SELECT 1 + n / 3, 1 + n % 3, 1000000, 0
  FROM generate_series(0, 59999) AS n;

INSERT INTO audit.event (bucket, kind, order_id, at, detail)
SELECT n % 35, (ARRAY['viewed', 'placed', 'paid', 'mailed', 'complained'])[1 + n % 5],
       1 + n % 400000, now() - (500000 - n) * interval '70 seconds',
       jsonb_build_object('by', 'user ' || n % 3000, 'ip', '10.' || n % 250 || '.1.' || n % 199,
                          'text', md5(n::text))
  FROM generate_series(1, 500000) AS n;
