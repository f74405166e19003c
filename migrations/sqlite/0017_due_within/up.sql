-- How far ahead of the clock due_at was when it was written, in microseconds. A due_at that is further ahead than that was written
-- by a clock that was wrong. Of rows from before nothing is known: 25 hours is the longest wait after a failure.
ALTER TABLE schedule ADD COLUMN due_within INTEGER NOT NULL DEFAULT 90000000000;
ALTER TABLE actions ADD COLUMN due_within INTEGER NOT NULL DEFAULT 90000000000;
