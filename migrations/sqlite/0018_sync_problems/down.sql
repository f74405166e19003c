DROP INDEX syncs_with_problem;
ALTER TABLE syncs DROP COLUMN problem;
