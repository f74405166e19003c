-- Rows up to this change number are pruned: a row that changes gets a higher one, so this bound only ever rises.
ALTER TABLE counters ADD COLUMN pruned_to INTEGER NOT NULL DEFAULT 0;
