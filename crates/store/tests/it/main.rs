//! The store against both databases: SQLite in a temporary file, PostgreSQL in a server of this process.

#![cfg(test)]

mod access;
mod clock;
mod connect_sessions;
mod connections;
mod feed;
mod fixture;
mod migrations;
mod opening;
mod queries;
mod records;
mod schedule;
mod speed;
mod tables;
