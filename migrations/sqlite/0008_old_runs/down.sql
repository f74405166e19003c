DROP INDEX runs_created;
