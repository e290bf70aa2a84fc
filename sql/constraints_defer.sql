-- At the beginning of a batch, where foreign keys stay on: puts them off to its end.
-- $1 oid[]: tables whose foreign keys are to be made such that they can be; none: those that are
-- $2 text: the stamp of the foreign keys that are known
-- Result: of no interest. Lowest server version: 11.
SELECT rebeco.constraints_defer($1::oid[], $2)
