-- Which database these tables were last found in. Another one means that they were restored or failed over, and that readers of changes
-- may be ahead of the counters; floor is where counters were raised to then, and where new ones begin.
CREATE TABLE lineage (
    id BIGINT NOT NULL PRIMARY KEY,
    identity TEXT NOT NULL,
    floor BIGINT NOT NULL
);
INSERT INTO lineage (id, identity, floor) VALUES (1, '', 0);
-- Change numbers between these belong to changes that a restore took back.
ALTER TABLE counters ADD COLUMN gap_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN gap_to BIGINT NOT NULL DEFAULT 0;
