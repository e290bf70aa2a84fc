-- A paid order leaves the house, and its tickets move to another partition of the audit log.
\set back random(1, 3000)
BEGIN;
WITH ready AS (
    SELECT id FROM shop.orders WHERE id >= (SELECT max(id) - :back FROM shop.orders)
       AND status = 'paid' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
), shipped AS (
    UPDATE shop.orders o SET status = 'shipped' FROM ready WHERE o.id = ready.id RETURNING o.id
)
UPDATE audit.event e SET bucket = (e.bucket + 10) % 40, kind = 'mailed'
  FROM shipped s WHERE e.order_id = s.id;
COMMIT;
