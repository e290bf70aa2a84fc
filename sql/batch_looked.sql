-- What the server's clock says behind the looks of a round: they have taken so long, without the way there.
-- Result: epoch double precision. Lowest server version: 10.
SELECT extract(epoch FROM pg_catalog.clock_timestamp()) AS epoch
