-- Old runs are looked for by their age.
CREATE INDEX runs_created ON runs (created_at);
