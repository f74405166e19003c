DELETE FROM webhook_secrets WHERE subscription IS NOT NULL;
DROP INDEX webhook_secrets_subscription;
ALTER TABLE webhook_secrets DROP COLUMN subscription;
DROP TABLE webhook_subscriptions;
