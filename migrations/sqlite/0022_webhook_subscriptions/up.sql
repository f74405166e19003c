-- How connections are subscribed to what their providers send. One row is one subscription with one input. It is leased work: due_at is
-- when it is renewed, or when ending it is tried again, or, while there is a holder, when the lease expires. steps counts the requests of
-- `create` that are done.
CREATE TABLE webhook_subscriptions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    connection_id INTEGER NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    input TEXT NOT NULL,
    input_hash TEXT NOT NULL,
    status TEXT NOT NULL,
    steps INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    holder TEXT,
    due_within INTEGER NOT NULL DEFAULT 0,
    UNIQUE (connection_id, name, input_hash)
);
CREATE INDEX webhook_subscriptions_due ON webhook_subscriptions (due_at) WHERE due_at IS NOT NULL;

-- What a subscription has kept of the provider's responses, sealed like any secret of its connection.
ALTER TABLE webhook_secrets ADD COLUMN subscription INTEGER REFERENCES webhook_subscriptions (number) ON DELETE CASCADE;
CREATE INDEX webhook_secrets_subscription ON webhook_secrets (subscription) WHERE subscription IS NOT NULL;
