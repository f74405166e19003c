//! The benchmark's PostgreSQL server, with the durability of production: every commit syncs the log to disk.
//!
//! Autovacuum is off. The benchmark vacuums between measurements, so that it affects all of them equally.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};

use crate::cpu;

/// Settings that differ from the server's defaults.
pub(crate) const SETTINGS: &str =
    "fsync=on synchronous_commit=on full_page_writes=on shared_buffers=256MB max_wal_size=1GB autovacuum=off";

/// Settings for long runs: with autovacuum.
pub(crate) const LONG_SETTINGS: &str =
    "fsync=on synchronous_commit=on full_page_writes=on shared_buffers=256MB max_wal_size=1GB autovacuum=on";

/// A running server. It stops and its folder is removed on drop, or when this process exits.
pub(crate) struct Server {
    folder: PathBuf,
    programs: PathBuf,
    postmaster: u32,
    databases: AtomicU32,
    guard: Child,
}

/// A shell script that starts the server, prints `ready`, waits for the end of its input, and cleans up. It ignores keyboard signals.
const GUARD: &str = r#"
trap '' INT TERM HUP
folder=$1; programs=$2; shift 2
options="-c listen_addresses='' -c unix_socket_directories='$folder'"
for setting; do options="$options -c $setting"; done
cd "$folder" &&
"$programs/initdb" -D "$folder/data" -U trunkline -A trust -E UTF8 --locale=C >"$folder/log" 2>&1 &&
"$programs/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "$options" start >>"$folder/log" 2>&1 &&
echo ready || cat "$folder/log" >&2
cat >/dev/null
"$programs/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1
cd / && rm -rf "$folder"
"#;

impl Server {
    /// Starts a server. PostgreSQL does not run as root; root therefore runs it as the user `postgres` of its packages.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_with(SETTINGS)
    }

    /// Starts a server with these settings, separated by spaces.
    pub(crate) fn start_with(settings: &str) -> anyhow::Result<Self> {
        let programs = programs().context("cannot find initdb and pg_ctl: install PostgreSQL 15 or later")?;
        let folder = tempfile::Builder::new()
            .prefix("trunkline-bench-pg-")
            .tempdir()?
            .keep();
        let root = folder.metadata()?.uid() == 0;
        let mut command = Command::new(if root { "runuser" } else { "sh" });
        if root {
            let owned = Command::new("chown").arg("postgres").arg(&folder).status()?;
            ensure!(
                owned.success(),
                "PostgreSQL does not run as root, and there is no user postgres"
            );
            command.args(["-u", "postgres", "--", "sh"]);
        }
        command.args(["-c", GUARD, "sh"]).arg(&folder).arg(&programs);
        let mut guard = command
            .args(settings.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the guard script of PostgreSQL")?;
        let mut line = String::new();
        let said = guard.stdout.take().context("the guard has no output")?;
        BufReader::new(said).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "PostgreSQL did not start");
        let file = std::fs::read_to_string(folder.join("data/postmaster.pid"))?;
        let postmaster = file.lines().next().unwrap_or_default().parse()?;
        Ok(Self {
            folder,
            programs,
            postmaster,
            databases: AtomicU32::new(0),
            guard,
        })
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
        format!(
            "postgres://trunkline@localhost/{database}?host={}",
            self.folder.display()
        )
    }

    /// Creates a database and returns its name.
    pub(crate) fn create(&self) -> anyhow::Result<String> {
        let name = format!("bench_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run(&self.address("postgres"), &format!("CREATE DATABASE {name}"))?;
        Ok(name)
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
        let mut command = Command::new(self.programs.join("psql"));
        command
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(address);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // The guard script exits when the server has stopped.
        let _ = self.guard.wait();
    }
}

/// Returns the folder of `initdb`: the newest in the usual folder of packages, or the one in `PATH`.
fn programs() -> Option<PathBuf> {
    let packaged = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = packaged
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .max();
    newest.map(|(_, bin)| bin).or_else(|| {
        let found = Command::new("pg_config").arg("--bindir").output().ok()?;
        let bin = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
        bin.join("initdb").exists().then_some(bin)
    })
}
