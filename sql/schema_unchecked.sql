-- For the installation: the bodies of our functions are not looked through once more, which takes half of its time. The tests
-- install them with that look.
-- Lowest server version: 10.
SET LOCAL check_function_bodies = off
