-- The first half of the rows; rows_2.sql loads the other half in a second session at the same time.
-- Dates are counted back from the day of the run, so that they look alive.

\set ON_ERROR_STOP on

INSERT INTO shop.orders (customer_id, status, coupon, note, placed_at, updated_at)
SELECT 1 + (random() * 149999)::int,
       CASE WHEN n % 50 = 0 THEN 'cancelled' WHEN n % 61 = 0 THEN 'returned'
            WHEN n > 395000 THEN 'new' WHEN n > 380000 THEN 'paid' ELSE 'shipped'
       END::shop.order_status,
       CASE WHEN n % 9 = 0 THEN 'SAVE-' || (n % 5000) END,
       CASE WHEN n % 4 = 0 THEN 'leave it with the neighbour, please; ring twice: ' || n END,
       now() - (400000 - n) * interval '90 seconds',
       now() - (400000 - n) * interval '90 seconds' + interval '2 days'
  FROM generate_series(1, 400000) AS n;

INSERT INTO shop.order_item (order_id, line, product_id, quantity, unit_price)
SELECT 1 + n / 3, 1 + n % 3, 1 + (n::bigint * 7919 % 20000)::int, 1 + n % 4, 1 + (n % 9900) / 100.0
  FROM generate_series(0, 1199999) AS n;
