ALTER TABLE integrations DROP COLUMN config_key_id;
ALTER TABLE integrations DROP COLUMN sealed_config;
