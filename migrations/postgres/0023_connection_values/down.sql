DROP TABLE connection_values;
