-- What providers sent. One row is one event for one connection, or for none if none fits yet. It is leased work: due_at is when it is
-- processed or, while there is a holder, when the lease expires. It outlives its connection, so connection_id is no foreign key; headers and
-- body are erased with the connection. verified is false for an event that fits no connection, so that there was no secret to verify it with.
CREATE TABLE incoming_events (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    environment_id BIGINT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    integration TEXT NOT NULL,
    provider TEXT NOT NULL,
    connection_id BIGINT,
    connection_name TEXT,
    status TEXT NOT NULL,
    verified BOOLEAN NOT NULL,
    dedupe_key TEXT,
    nonce TEXT,
    type TEXT,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BYTEA,
    attempts BIGINT NOT NULL DEFAULT 0,
    error TEXT,
    received_at BIGINT NOT NULL,
    processed_at BIGINT,
    due_at BIGINT,
    holder TEXT,
    due_within BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX incoming_events_dedupe ON incoming_events (environment_id, integration, COALESCE(connection_id, 0), dedupe_key)
    WHERE dedupe_key IS NOT NULL;
CREATE UNIQUE INDEX incoming_events_nonce ON incoming_events (environment_id, integration, COALESCE(connection_id, 0), nonce)
    WHERE nonce IS NOT NULL;
CREATE INDEX incoming_events_due ON incoming_events (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX incoming_events_backlog ON incoming_events (environment_id, integration, COALESCE(connection_id, 0))
    WHERE status = 'pending' OR (status = 'unmatched' AND NOT verified);
CREATE INDEX incoming_events_environment ON incoming_events (environment_id, number);
CREATE INDEX incoming_events_connection ON incoming_events (connection_id, number) WHERE body IS NOT NULL;
CREATE INDEX incoming_events_received ON incoming_events (received_at);

-- How far events have brought a row: the time or sequence of the last one that was applied, and the change number that the row had then.
CREATE TABLE row_versions (
    connection_id BIGINT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    model_table TEXT NOT NULL,
    key TEXT NOT NULL,
    version BIGINT,
    number BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (connection_id, model_table, key)
) WITH (fillfactor = 70);
CREATE INDEX row_versions_updated ON row_versions (updated_at);

-- A secret of a connection, such as the random part of its address. hash finds it again.
ALTER TABLE webhook_secrets ADD COLUMN connection_id BIGINT;
ALTER TABLE webhook_secrets ADD COLUMN hash TEXT;
CREATE UNIQUE INDEX webhook_secrets_hash ON webhook_secrets (hash) WHERE hash IS NOT NULL;
CREATE INDEX webhook_secrets_connection ON webhook_secrets (connection_id) WHERE connection_id IS NOT NULL;
