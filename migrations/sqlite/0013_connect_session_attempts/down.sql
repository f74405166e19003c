ALTER TABLE connect_sessions DROP COLUMN retry_at;
ALTER TABLE connect_sessions DROP COLUMN failures;
ALTER TABLE connect_sessions DROP COLUMN connections;
