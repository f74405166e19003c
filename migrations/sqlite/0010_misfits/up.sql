-- JSON: the values that did not fit their column, by the column's name.
ALTER TABLE runs ADD COLUMN misfits TEXT;
