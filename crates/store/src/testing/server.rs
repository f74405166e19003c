//! PostgreSQL servers: one that the tests of a process share, and servers of a single test or of the benchmark.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{TEMPLATE, TestDatabase, run_sql};
use crate::{DatabaseUrl, DbConn};

/// If this is set, a test fails that would be skipped because a program is missing.
const REQUIRED: &str = "TRUNKLINE_TEST_REQUIRE_POSTGRES";

/// The options of servers for tests: the data need not survive a crash of the machine.
const TEST_OPTIONS: &str =
    "-c fsync=off -c full_page_writes=off -c max_connections=400 -c shared_buffers=256MB";

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A program, a user or a locale is missing. Tests are then skipped.
    #[error("{0}")]
    Missing(&'static str),
    /// PostgreSQL itself failed.
    #[error("PostgreSQL did not start: see its log on standard error")]
    Failed,
}

/// A PostgreSQL server with a folder of its own, which can be suspended, killed and restarted. Dropping it stops the server.
#[derive(Debug)]
pub struct TestServer {
    /// The folder of the socket.
    folder: PathBuf,
    /// The folder of the server's programs.
    bin_dir: PathBuf,
    /// The options of `postgres`.
    options: String,
    next_database: AtomicU32,
    /// Stops the server when its own input is closed: on drop, or when our process exits.
    supervisor: Child,
}

/// Returns the server that the process's tests share; `None` if its programs are missing.
pub(super) fn shared() -> Option<&'static TestServer> {
    static SERVER: OnceLock<Option<TestServer>> = OnceLock::new();
    // Commits need not survive a crash: the server is never killed before the last test.
    SERVER
        .get_or_init(|| TestServer::start_for_tests("-c synchronous_commit=off", None))
        .as_ref()
}

/// A script that starts the server, writes `ready`, waits until its input is closed, then stops the server and removes the folder. It ignores
/// signals from the keyboard.
const SUPERVISOR: &str = r#"
trap '' INT TERM HUP
folder=$1; bin=$2; more=$3; language=$4
cd "$folder" &&
"$bin/initdb" -D "$folder/data" -U trunkline -A trust -N -E UTF8 --locale=C >"$folder/log" 2>&1 &&
printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$folder'" >>"$folder/data/postgresql.conf" &&
if [ -n "$language" ]; then
    mkdir "$folder/locale" && localedef -i "$language" -f UTF-8 --no-archive "$folder/locale/$language.utf8" >>"$folder/log" 2>&1
    export LOCPATH="$folder/locale"
    echo "lc_messages = '$language.utf8'" >>"$folder/data/postgresql.conf"
fi &&
"$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "$more" start >>"$folder/log" 2>&1 &&
echo ready || cat "$folder/log" >&2
cat >/dev/null
"$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1
cd / && rm -rf "$folder"
"#;

impl TestServer {
    /// Starts a server; `None` if its programs are missing.
    pub fn start() -> Option<Self> {
        Self::start_for_tests("", None)
    }

    /// Starts a server whose messages are in German; `None` if the locale cannot be created.
    pub fn start_in_german() -> Option<Self> {
        Self::start_for_tests("", Some("de_DE"))
    }

    /// Starts a server with the options of all tests and these; `None` if the tests are skipped.
    fn start_for_tests(options: &str, language: Option<&str>) -> Option<Self> {
        match Self::start_with(&format!("{TEST_OPTIONS} {options}"), language) {
            Ok(server) => {
                server.make_template();
                Some(server)
            }
            Err(StartError::Missing(why)) => {
                skip(why);
                None
            }
            Err(error @ StartError::Failed) => panic!("{error}"),
        }
    }

    /// Starts a server. `options` are those of `postgres`, and `language` is a locale such as `de_DE` for its messages. It
    /// lacks the template that [`TestServer::database`] copies.
    pub fn start_with(options: &str, language: Option<&str>) -> Result<Self, StartError> {
        let missing = "cannot find initdb and pg_ctl: install PostgreSQL 15 or later";
        let bin_dir = bin_dir().ok_or(StartError::Missing(missing))?;
        let folder = tempfile::Builder::new()
            .prefix("trunkline-pg-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&folder).status();
            if !owned.is_ok_and(|status| status.success()) {
                return Err(StartError::Missing(
                    "PostgreSQL does not run as root, and there is no user postgres",
                ));
            }
        }
        let mut supervisor = as_its_user("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .args([&folder, &bin_dir])
            .args([options, language.unwrap_or_default()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the supervisor starts");
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the supervisor's output");
        if line.trim() != "ready" {
            supervisor.wait().expect("the supervisor ends");
            return Err(if language.is_some() {
                StartError::Missing("there is no locale for another language: install locales")
            } else {
                StartError::Failed
            });
        }
        Ok(Self {
            folder,
            bin_dir,
            options: options.to_owned(),
            next_database: AtomicU32::new(0),
            supervisor,
        })
    }

    /// Returns the URL of a database of the server.
    pub fn address(&self, database: &str) -> String {
        format!(
            "postgres://trunkline@localhost/{database}?host={}",
            self.folder.display()
        )
    }

    /// Runs statements in the database `postgres`.
    fn administer(&self, sql: &str) {
        let mut connection =
            PgConnection::establish(&self.address("postgres")).expect("the server accepts connections");
        connection.batch_execute(sql).expect("valid statements");
    }

    fn make_template(&self) {
        self.administer(&format!("CREATE DATABASE {TEMPLATE}"));
        let connection =
            PgConnection::establish(&self.address(TEMPLATE)).expect("the server accepts connections");
        let mut connection = DbConn::Pg(connection);
        crate::migrations::run(&mut connection).expect("migrations of a new database");
        // An empty identity is that of a new database, so that a copy does not count as restored.
        run_sql(&mut connection, "UPDATE lineage SET identity = ''").expect("the table exists");
    }

    /// Creates a database with all control tables.
    pub fn database(&self) -> TestDatabase {
        TestDatabase::of_server(self, TEMPLATE)
    }

    /// Creates a copy of the database `template`, and returns its name.
    pub fn create_database(&self, template: &str) -> String {
        let name = format!("test_{}", self.next_database.fetch_add(1, Ordering::Relaxed));
        self.administer(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        name
    }

    /// Ends all connections to the database.
    pub(super) fn end_connections(&self, database: &str) {
        self.administer(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        ));
    }

    pub(super) fn url_of(&self, database: &str) -> DatabaseUrl {
        self.address(database).parse().expect("an address")
    }

    /// Returns the Unix socket that the server listens on.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Suspends all processes of the server: connections stay open and get no response.
    pub fn suspend(&self) {
        self.signal("STOP");
    }

    /// Resumes after [`TestServer::suspend`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Kills all processes of the server at once.
    pub fn kill(&self) {
        self.signal("KILL");
    }

    /// Returns the folder of the server's programs.
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// Returns the process that started the server's others; `None` if it does not run.
    pub fn postmaster(&self) -> Option<String> {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        file.lines().next().map(str::to_owned)
    }

    /// Sends a signal to the postmaster and its children.
    fn signal(&self, name: &str) {
        let Some(first) = self.postmaster() else {
            return;
        };
        // Children are found by their parent, which must still exist and start no others meanwhile.
        send(
            if name == "KILL" { "STOP" } else { name },
            std::slice::from_ref(&first),
        );
        let children = Command::new("sh")
            .args(["-c", r#"for f in /proc/[0-9]*/stat; do s=$(cat "$f" 2>/dev/null) || continue; p=${f%/stat}; r=${s##*) }; set -- $r; [ "$2" = "$0" ] && echo "${p#/proc/}"; done"#])
            .arg(&first)
            .output()
            .expect("a shell");
        let mut found: Vec<String> = String::from_utf8_lossy(&children.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        found.push(first);
        send(name, &found);
    }

    /// Starts the server after [`TestServer::kill`]; it recovers what was committed.
    pub fn start_again(&self) {
        // The shared memory of the killed processes is freed a moment after their end.
        for _ in 0..50 {
            let started = as_its_user(self.bin_dir.join("pg_ctl"))
                .arg("-D")
                .arg(self.folder.join("data"))
                .args(["-w", "-l"])
                .arg(self.folder.join("log"))
                .args(["-o", &self.options, "start"])
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status();
            if started.is_ok_and(|status| status.success()) {
                return;
            }
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start again: {log}");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.signal("CONT");
        drop(self.supervisor.stdin.take());
        drop(self.supervisor.wait());
    }
}

fn send(signal: &str, pids: &[String]) {
    if !pids.is_empty() {
        // A process may have ended meanwhile.
        drop(
            Command::new("kill")
                .args(["-s", signal])
                .args(pids)
                .stderr(Stdio::null())
                .status(),
        );
    }
}

/// PostgreSQL refuses to run as root, so its programs then run as the user `postgres`.
pub(super) fn as_its_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn is_root() -> bool {
    #[cfg(unix)]
    {
        std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    }
    #[cfg(not(unix))]
    {
        false
    }
}

/// Returns the folder of `initdb`: the newest that a package installed, or the one that `pg_config` names.
fn bin_dir() -> Option<PathBuf> {
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

/// Says that tests on PostgreSQL are skipped: on standard error itself, since the test harness captures `eprintln!`.
///
/// # Panics
/// If `TRUNKLINE_TEST_REQUIRE_POSTGRES` is set.
pub(super) fn skip(why: &str) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{why} ({REQUIRED} is set)");
    let _ = writeln!(std::io::stderr(), "SKIPPED: tests on PostgreSQL: {why}");
}
