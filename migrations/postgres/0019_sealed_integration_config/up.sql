-- The secret fields of config, sealed together, and the id of the key that sealed them. NULL if there are none; both are empty texts
-- once the key is lost and was given up.
ALTER TABLE integrations ADD COLUMN sealed_config TEXT;
ALTER TABLE integrations ADD COLUMN config_key_id TEXT;
