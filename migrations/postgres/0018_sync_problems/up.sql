-- Why the provider does not let the connection's key read what the sync needs: JSON, as in connections.problem. NULL if it does, or
-- if nobody knows.
ALTER TABLE syncs ADD COLUMN problem TEXT;
CREATE INDEX syncs_with_problem ON syncs (connection_id) WHERE problem IS NOT NULL;
