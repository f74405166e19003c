ALTER TABLE runs DROP COLUMN incomplete;
