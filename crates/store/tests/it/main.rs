//! The store against both databases: SQLite in a temporary file, PostgreSQL in a server of this process.

#![cfg(test)]

mod access;
mod clock;
mod connect_sessions;
mod connections;
mod error_kinds;
mod feed;
mod fixture;
mod long_values;
mod migrations;
mod odd_values;
mod opening;
mod ordering;
mod page_comparison;
mod partitions;
mod queries;
mod records;
mod restores;
mod schedule;
mod speed;
mod tables;
mod unresponsive_database;
mod variants;
