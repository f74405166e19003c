DELETE FROM webhook_secrets WHERE connection_id IS NOT NULL;
DROP INDEX webhook_secrets_connection;
DROP INDEX webhook_secrets_hash;
ALTER TABLE webhook_secrets DROP COLUMN hash;
ALTER TABLE webhook_secrets DROP COLUMN connection_id;
DROP TABLE row_versions;
DROP TABLE incoming_events;
