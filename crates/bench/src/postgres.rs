//! The benchmark's PostgreSQL server, with the durability of production: every commit syncs the log to disk.
//!
//! Autovacuum is off. The benchmark vacuums between measurements, so that it affects all of them equally.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use store::testing::TestServer;

use crate::cpu;

/// Settings that differ from the server's defaults.
pub(crate) const SETTINGS: &str =
    "fsync=on synchronous_commit=on full_page_writes=on shared_buffers=256MB max_wal_size=1GB autovacuum=off";

/// Settings for long runs: with autovacuum.
pub(crate) const LONG_SETTINGS: &str =
    "fsync=on synchronous_commit=on full_page_writes=on shared_buffers=256MB max_wal_size=1GB autovacuum=on";

/// A running server. It stops and its folder is removed on drop, or when this process exits.
pub(crate) struct Server {
    server: TestServer,
    postmaster: u32,
}

impl Server {
    /// Starts a server.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_with(SETTINGS)
    }

    /// Starts a server with these settings, separated by spaces.
    pub(crate) fn start_with(settings: &str) -> anyhow::Result<Self> {
        let options = format!("-c {}", settings.replace(' ', " -c "));
        let server = TestServer::start_with(&options, None)?;
        let postmaster = server.postmaster().context("PostgreSQL has ended")?.parse()?;
        Ok(Self { server, postmaster })
    }

    /// Returns the server's version.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let output = self.query(&self.address("postgres"), "SHOW server_version")?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Returns the CPU time of all its processes so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        cpu::of_family(self.postmaster)
    }

    pub(crate) fn address(&self, database: &str) -> String {
        self.server.address(database)
    }

    /// Creates a database without tables, and returns its name.
    pub(crate) fn create(&self) -> String {
        self.server.create_database("template1")
    }

    pub(crate) fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.run(
            &self.address("postgres"),
            &format!("DROP DATABASE {name} WITH (FORCE)"),
        )
    }

    /// Runs statements, each its own transaction.
    pub(crate) fn run(&self, address: &str, sql: &str) -> anyhow::Result<()> {
        let mut psql = self.psql(address).stdin(Stdio::piped()).spawn()?;
        let mut input = psql.stdin.take().context("psql has no input")?;
        input.write_all(sql.as_bytes())?;
        drop(input);
        ensure!(psql.wait()?.success(), "psql failed");
        Ok(())
    }

    /// Runs a file of statements, each its own transaction.
    pub(crate) fn run_file(&self, address: &str, file: &Path) -> anyhow::Result<()> {
        let status = self
            .psql(address)
            .arg("-f")
            .arg(file)
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "psql failed");
        Ok(())
    }

    /// Runs a statement and returns its output.
    pub(crate) fn query(&self, address: &str, sql: &str) -> anyhow::Result<Vec<u8>> {
        let output = self
            .psql(address)
            .args(["-At", "-c", sql])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "psql failed");
        Ok(output.stdout)
    }

    /// Returns a `psql` command that hides notices and stops at the first error.
    fn psql(&self, address: &str) -> Command {
        let mut command = Command::new(self.server.bin_dir().join("psql"));
        command
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(address);
        command
    }
}
