-- A coupon gets another code: its key changes, and so do the orders that refer to it.
\set coupon random(1, 4999)
UPDATE shop.coupon SET code = CASE WHEN code LIKE '%-NEW' THEN left(code, -4) ELSE code || '-NEW' END
 WHERE code = (SELECT code FROM shop.coupon
                WHERE code IN ('SAVE-' || :coupon, 'SAVE-' || :coupon || '-NEW')
                  FOR UPDATE SKIP LOCKED);
