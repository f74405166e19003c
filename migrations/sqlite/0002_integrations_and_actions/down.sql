DROP TABLE actions;
DROP TABLE connect_sessions;
UPDATE api_keys SET scopes = '["environment:connections:list","environment:connections:read","environment:connections:create","environment:connections:delete","environment:syncs:read","environment:syncs:execute","environment:records:read","environment:integrations:list"]'
WHERE scopes = '["environment:*","account:*"]';
ALTER TABLE connections DROP COLUMN webhook_url_override;
DROP TABLE integrations;
