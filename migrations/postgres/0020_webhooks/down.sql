ALTER TABLE runs DROP COLUMN last_change;
ALTER TABLE runs DROP COLUMN first_change;
DROP TABLE webhook_attempts;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_secrets;
DROP TABLE webhook_endpoints;
DROP TABLE event_positions;
DROP TABLE events;
