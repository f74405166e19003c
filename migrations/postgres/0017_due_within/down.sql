ALTER TABLE actions DROP COLUMN due_within;
ALTER TABLE schedule DROP COLUMN due_within;
