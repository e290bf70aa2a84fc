-- For the installation: the bodies of our functions are not looked through once more, which takes half of its time. Each release has
-- been installed with that look on every version.
-- Lowest server version: 10.
SET LOCAL check_function_bodies = off
