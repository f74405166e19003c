-- Times are microseconds since 1970 in UTC; JSON is text.

CREATE TABLE environments (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    environment_id BIGINT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_keys_environment ON api_keys (environment_id);

CREATE TABLE vault_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    check_text TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE connections (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id BIGINT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    integration TEXT NOT NULL,
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    connection_config TEXT NOT NULL,
    metadata TEXT,
    tags TEXT NOT NULL,
    end_user TEXT,
    problem TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_fetched_at BIGINT,
    UNIQUE (environment_id, integration, name)
);

CREATE TABLE credentials (
    connection_id BIGINT NOT NULL PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    sealed TEXT NOT NULL,
    key_id TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE syncs (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id BIGINT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    variant TEXT NOT NULL,
    frequency TEXT,
    paused BOOLEAN NOT NULL,
    checkpoint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (connection_id, name, variant)
);

-- Narrow and apart from the syncs, for it is rewritten at every run and heartbeat.
-- due_at is both due time and end of the lease.
CREATE TABLE schedule (
    sync_id BIGINT NOT NULL PRIMARY KEY REFERENCES syncs (id) ON DELETE CASCADE,
    due_at BIGINT,
    holder TEXT
) WITH (fillfactor = 70);
CREATE INDEX schedule_due ON schedule (due_at) WHERE due_at IS NOT NULL;

-- number gives the order in which runs were made; ids made in one millisecond have none.
CREATE TABLE runs (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    sync_id BIGINT NOT NULL REFERENCES syncs (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    kind TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    resumed BIGINT NOT NULL DEFAULT 0,
    pages BIGINT NOT NULL DEFAULT 0,
    added BIGINT NOT NULL DEFAULT 0,
    updated BIGINT NOT NULL DEFAULT 0,
    deleted BIGINT NOT NULL DEFAULT 0,
    unchanged BIGINT NOT NULL DEFAULT 0,
    skipped BIGINT NOT NULL DEFAULT 0,
    progress DOUBLE PRECISION,
    error_code TEXT,
    error_message TEXT,
    error_hint TEXT
) WITH (fillfactor = 70);
CREATE INDEX runs_sync ON runs (sync_id, number);
CREATE UNIQUE INDEX runs_active ON runs (sync_id) WHERE status IN ('queued', 'running');

CREATE TABLE slices (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync_id BIGINT NOT NULL REFERENCES syncs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    from_at BIGINT,
    to_at BIGINT,
    next TEXT,
    pages BIGINT NOT NULL DEFAULT 0,
    records BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX slices_sync ON slices (sync_id);

-- The change numbers of a connection's rows in one model's table, and how many of the rows are live.
CREATE TABLE counters (
    connection_id BIGINT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    model_table TEXT NOT NULL,
    last_number BIGINT NOT NULL,
    live BIGINT NOT NULL,
    PRIMARY KEY (connection_id, model_table)
) WITH (fillfactor = 70);
