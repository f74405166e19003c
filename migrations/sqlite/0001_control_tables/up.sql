-- Times are microseconds since 1970 in UTC; JSON is text.
-- AUTOINCREMENT keeps the number of a deleted row from being given out again: synced rows bear connections' numbers.

CREATE TABLE environments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    environment_id INTEGER NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER
);
CREATE INDEX api_keys_environment ON api_keys (environment_id);

CREATE TABLE vault_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    check_text TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER
);

CREATE TABLE connections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    environment_id INTEGER NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    integration TEXT NOT NULL,
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    connection_config TEXT NOT NULL,
    metadata TEXT,
    tags TEXT NOT NULL,
    end_user TEXT,
    problem TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_fetched_at INTEGER,
    UNIQUE (environment_id, integration, name)
);

CREATE TABLE credentials (
    connection_id INTEGER NOT NULL PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    sealed TEXT NOT NULL,
    key_id TEXT NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE syncs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    connection_id INTEGER NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    variant TEXT NOT NULL,
    frequency TEXT,
    paused BOOLEAN NOT NULL,
    checkpoint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (connection_id, name, variant)
);

-- Narrow and apart from the syncs, for it is rewritten at every run and heartbeat.
-- due_at is both due time and end of the lease.
CREATE TABLE schedule (
    sync_id INTEGER NOT NULL PRIMARY KEY REFERENCES syncs (id) ON DELETE CASCADE,
    due_at INTEGER,
    holder TEXT
);
CREATE INDEX schedule_due ON schedule (due_at) WHERE due_at IS NOT NULL;

-- number gives the order in which runs were made; ids made in one millisecond have none.
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    sync_id INTEGER NOT NULL REFERENCES syncs (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    kind TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    resumed INTEGER NOT NULL DEFAULT 0,
    pages INTEGER NOT NULL DEFAULT 0,
    added INTEGER NOT NULL DEFAULT 0,
    updated INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    progress DOUBLE PRECISION,
    error_code TEXT,
    error_message TEXT,
    error_hint TEXT
);
CREATE INDEX runs_sync ON runs (sync_id, number);
CREATE UNIQUE INDEX runs_active ON runs (sync_id) WHERE status IN ('queued', 'running');

CREATE TABLE slices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sync_id INTEGER NOT NULL REFERENCES syncs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    from_at INTEGER,
    to_at INTEGER,
    next TEXT,
    pages INTEGER NOT NULL DEFAULT 0,
    records INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX slices_sync ON slices (sync_id);

-- The change numbers of a connection's rows in one model's table, and how many of the rows are live.
CREATE TABLE counters (
    connection_id INTEGER NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    model_table TEXT NOT NULL,
    last_number INTEGER NOT NULL,
    live INTEGER NOT NULL,
    PRIMARY KEY (connection_id, model_table)
);
