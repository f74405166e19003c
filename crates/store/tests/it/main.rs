//! The store against both databases: SQLite in a temporary file, PostgreSQL in a server of this process.

#![cfg(test)]

mod access;
mod clock;
mod compare;
mod connect_sessions;
mod connections;
mod failing;
mod feed;
mod fixture;
mod long_values;
mod migrations;
mod odd_values;
mod opening;
mod ordering;
mod partitions;
mod queries;
mod records;
mod restores;
mod schedule;
mod silence;
mod speed;
mod tables;
mod variants;
