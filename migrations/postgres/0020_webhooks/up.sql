-- What happened, for apps. An event is written in the transaction of the change that it reports. position is its place in the order that
-- readers see; it is set after the commit, by one process at a time, so a reader that has seen position n has seen all below it.
-- An event outlives its connection, so connection_id is no foreign key; data is NULL once the connection is deleted.
CREATE TABLE events (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    environment_id BIGINT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    position BIGINT UNIQUE,
    type TEXT NOT NULL,
    connection_id BIGINT,
    integration TEXT,
    connection_name TEXT,
    url_override TEXT,
    data TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX events_unpublished ON events (number) WHERE position IS NULL;
CREATE INDEX events_environment ON events (environment_id, position);
CREATE INDEX events_connection ON events (connection_id, number) WHERE data IS NOT NULL;
CREATE INDEX events_created ON events (created_at);

-- One row: the last position. Its lock lets one process at a time publish.
CREATE TABLE event_positions (
    id BIGINT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO event_positions (id, last) VALUES (1, 0);

-- Where apps receive events. An endpoint is leased work: the holder of its lease makes deliveries of the events after position, and
-- sends them. slot is primary or secondary for the two addresses of Nango's API; such an endpoint may have no url of its own.
CREATE TABLE webhook_endpoints (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    environment_id BIGINT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    slot TEXT,
    url TEXT,
    description TEXT,
    format TEXT NOT NULL,
    events TEXT NOT NULL,
    integrations TEXT,
    tags TEXT NOT NULL,
    unchanged_runs BOOLEAN NOT NULL,
    header_names TEXT NOT NULL,
    ordered BOOLEAN NOT NULL,
    retry_seconds TEXT,
    timeout_seconds BIGINT,
    rate_per_second BIGINT,
    concurrency BIGINT,
    enabled BOOLEAN NOT NULL,
    disabled_reason TEXT,
    disabled_at BIGINT,
    failures BIGINT NOT NULL DEFAULT 0,
    failing_since BIGINT,
    paused_until BIGINT,
    position BIGINT NOT NULL,
    replay_to BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    due_at BIGINT,
    holder TEXT,
    due_within BIGINT NOT NULL DEFAULT 0,
    UNIQUE (environment_id, slot)
) WITH (fillfactor = 70);
CREATE INDEX webhook_endpoints_due ON webhook_endpoints (due_at) WHERE due_at IS NOT NULL;

-- Sealed secrets of webhooks: of an endpoint or, without one, of the environment. A secret that was replaced is valid until expires_at.
CREATE TABLE webhook_secrets (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id BIGINT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    endpoint BIGINT REFERENCES webhook_endpoints (number) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    sealed TEXT NOT NULL,
    key_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX webhook_secrets_endpoint ON webhook_secrets (endpoint);
CREATE INDEX webhook_secrets_environment ON webhook_secrets (environment_id);

-- An event for an endpoint. due_at is when the next attempt is due; NULL once it has ended, or while an ordered endpoint holds it back.
-- tries counts the attempts since the delivery was made or replayed.
CREATE TABLE webhook_deliveries (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    endpoint BIGINT NOT NULL REFERENCES webhook_endpoints (number) ON DELETE CASCADE,
    event BIGINT NOT NULL REFERENCES events (number) ON DELETE CASCADE,
    connection_id BIGINT,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    tries BIGINT NOT NULL DEFAULT 0,
    due_at BIGINT,
    due_within BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    UNIQUE (event, endpoint)
) WITH (fillfactor = 70);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, due_at, number) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint, connection_id, number) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint, number);

CREATE TABLE webhook_attempts (
    delivery BIGINT NOT NULL REFERENCES webhook_deliveries (number) ON DELETE CASCADE,
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    response TEXT,
    PRIMARY KEY (delivery, attempt)
);

-- The change numbers that a run has written, for the event of its end.
ALTER TABLE runs ADD COLUMN first_change BIGINT;
ALTER TABLE runs ADD COLUMN last_change BIGINT;
