ALTER TABLE counters DROP COLUMN gap_to;
ALTER TABLE counters DROP COLUMN gap_from;
DROP TABLE lineage;
