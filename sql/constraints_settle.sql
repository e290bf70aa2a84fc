-- At the end of a batch: checks every constraint that was put off. An error names its table.
-- Result: of no interest. Lowest server version: 11.
SELECT rebeco.constraints_settle()
