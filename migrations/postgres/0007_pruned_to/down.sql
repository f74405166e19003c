ALTER TABLE counters DROP COLUMN pruned_to;
