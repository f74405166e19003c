-- Why a list of the run may not have been read to its end.
ALTER TABLE runs ADD COLUMN incomplete TEXT;
