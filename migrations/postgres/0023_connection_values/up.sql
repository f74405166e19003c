-- The plain values of connections' configurations, by which an event of a provider finds its connection.
CREATE TABLE connection_values (
    connection_id BIGINT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (connection_id, key)
);
CREATE INDEX connection_values_value ON connection_values (key, value);
INSERT INTO connection_values
    SELECT connections.id, entry.key, entry.value #>> '{}'
    FROM (SELECT * FROM connections WHERE position('\u0000' IN connection_config) = 0) AS connections,
        json_each(connections.connection_config::json) AS entry
    WHERE json_typeof(entry.value) IN ('string', 'number', 'boolean') AND octet_length(entry.value #>> '{}') <= 1024;
