-- Integrations: what an environment calls a provider, and how. Those that connections were made under are there already.
CREATE TABLE integrations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    environment_id INTEGER NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    provider TEXT NOT NULL,
    display_name TEXT,
    forward_webhooks BOOLEAN NOT NULL,
    config TEXT NOT NULL,
    custom TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (environment_id, key)
);
INSERT INTO integrations (environment_id, key, provider, forward_webhooks, config, custom, created_at, updated_at)
SELECT environment_id, integration, MIN(provider), 1, '{}', '{}', MIN(created_at), MIN(created_at)
FROM connections GROUP BY environment_id, integration;

ALTER TABLE connections ADD COLUMN webhook_url_override TEXT;

-- A key that may do everything says so, and may do what later versions bring.
UPDATE api_keys SET scopes = '["environment:*","account:*"]'
WHERE scopes = '["environment:connections:list","environment:connections:read","environment:connections:create","environment:connections:delete","environment:syncs:read","environment:syncs:execute","environment:records:read","environment:integrations:list"]';

-- One time permissions to connect, for front ends; the token is stored hashed.
CREATE TABLE connect_sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    environment_id INTEGER NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    token_hash TEXT NOT NULL UNIQUE,
    connection_id INTEGER REFERENCES connections (id) ON DELETE CASCADE,
    end_user TEXT,
    tags TEXT NOT NULL,
    allowed_integrations TEXT,
    defaults TEXT NOT NULL,
    overrides TEXT NOT NULL,
    webhook_url_override TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX connect_sessions_expiry ON connect_sessions (expires_at);
CREATE INDEX connect_sessions_environment ON connect_sessions (environment_id);
CREATE INDEX connect_sessions_connection ON connect_sessions (connection_id);

-- Actions that outlive the request that asked for them. due_at is due time, and end of the lease while one is carried out.
CREATE TABLE actions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    connection_id INTEGER NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    input TEXT,
    repeatable BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    due_at INTEGER,
    holder TEXT,
    output TEXT,
    error TEXT,
    idempotency_key TEXT,
    input_hash TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    UNIQUE (connection_id, name, idempotency_key)
);
CREATE INDEX actions_due ON actions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX actions_finished ON actions (finished_at) WHERE finished_at IS NOT NULL;
