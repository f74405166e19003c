-- The plain values of connections' configurations, by which an event of a provider finds its connection.
CREATE TABLE connection_values (
    connection_id INTEGER NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (connection_id, key)
);
CREATE INDEX connection_values_value ON connection_values (key, value);
INSERT INTO connection_values
    SELECT connections.id, entry.key, CASE entry.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(entry.value AS TEXT) END
    FROM connections, json_each(connections.connection_config) AS entry
    WHERE entry.type IN ('text', 'integer', 'real', 'true', 'false') AND connections.connection_config NOT LIKE '%\u0000%'
        AND length(entry.value) <= 1024;
