-- What bounds a connect session: the connections that it has made, its failed attempts in a row, and when the next one may begin.
ALTER TABLE connect_sessions ADD COLUMN connections INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connect_sessions ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connect_sessions ADD COLUMN retry_at INTEGER;
