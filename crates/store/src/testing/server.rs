//! PostgreSQL servers of the test process: a shared one, and servers of a single test, which can be stopped and killed.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use crate::{DatabaseUrl, DbConn};

/// If this is set, a test fails that would be skipped because a program is missing.
const REQUIRED: &str = "TRUNKLINE_TEST_REQUIRE_POSTGRES";

/// A server with a folder of its own.
#[derive(Debug)]
pub(super) struct Server {
    /// The folder of the socket.
    folder: PathBuf,
    programs: PathBuf,
    databases: AtomicU32,
    /// Reads from its own input until our process ends.
    guard: Child,
}

/// Returns the server that the process's tests share; `None` if its programs are missing.
pub(super) fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    // Commits need not survive a crash: the server is never killed before the last test.
    SERVER
        .get_or_init(|| Server::start("-c synchronous_commit=off", None))
        .as_ref()
}

/// Starts the server, writes `ready`, waits for its input to end, cleans up. It ignores signals from the keyboard.
const GUARD: &str = r#"
trap '' INT TERM HUP
folder=$1; programs=$2; more=$3; language=$4
cd "$folder" &&
"$programs/initdb" -D "$folder/data" -U trunkline -A trust -N -E UTF8 --locale=C >"$folder/log" 2>&1 &&
printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$folder'" "fsync = off" "full_page_writes = off" \
"max_connections = 400" "shared_buffers = 256MB" >>"$folder/data/postgresql.conf" &&
if [ -n "$language" ]; then
    mkdir "$folder/locale" && localedef -i "$language" -f UTF-8 --no-archive "$folder/locale/$language.utf8" >>"$folder/log" 2>&1
    export LOCPATH="$folder/locale"
    echo "lc_messages = '$language.utf8'" >>"$folder/data/postgresql.conf"
fi &&
"$programs/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "$more" start >>"$folder/log" 2>&1 &&
echo ready || cat "$folder/log" >&2
cat >/dev/null
"$programs/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1
cd / && rm -rf "$folder"
"#;

impl Server {
    /// Starts a server with further options, whose messages are in the language of the locale.
    pub(super) fn start(options: &str, language: Option<&str>) -> Option<Self> {
        let Some(programs) = programs() else {
            skip("no initdb and pg_ctl: install PostgreSQL 15 or later");
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("trunkline-pg-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&folder).status();
            if !owned.is_ok_and(|status| status.success()) {
                skip("PostgreSQL does not run as root, and there is no user postgres");
                return None;
            }
        }
        let mut guard = as_its_user("sh")
            .args(["-c", GUARD, "sh"])
            .args([&folder, &programs])
            .args([options, language.unwrap_or_default()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the guard starts");
        let mut line = String::new();
        BufReader::new(guard.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the guard's output");
        if line.trim() != "ready" && language.is_some() {
            skip("there is no locale for another language: install locales");
            guard.wait().expect("the guard ends");
            return None;
        }
        assert_eq!(line.trim(), "ready", "PostgreSQL did not start");
        let server = Self {
            folder,
            programs,
            databases: AtomicU32::new(0),
            guard,
        };
        server.make_template();
        Some(server)
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://trunkline@localhost/{database}?host={}",
            self.folder.display()
        )
    }

    /// Runs statements in the database `postgres`.
    fn administer(&self, sql: &str) {
        let mut connection =
            PgConnection::establish(&self.url("postgres")).expect("the server accepts connections");
        connection.batch_execute(sql).expect("valid statements");
    }

    fn make_template(&self) {
        self.administer("CREATE DATABASE template_trunkline");
        let connection =
            PgConnection::establish(&self.url("template_trunkline")).expect("the server accepts connections");
        let mut connection = DbConn::Pg(connection);
        crate::migrations::run(&mut connection).expect("migrations of a new database");
        // Copies of the template are new databases, none of which was restored.
        super::run_sql(&mut connection, "UPDATE lineage SET identity = ''").expect("the table exists");
    }

    /// Creates a database and returns its name.
    pub(super) fn database(&self, template: &str) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.administer(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        name
    }

    /// Creates a copy of a database, whose connections are ended, and returns its name.
    pub(super) fn copy(&self, other: &str) -> String {
        self.administer(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{other}'"
        ));
        self.database(other)
    }

    pub(super) fn url_of(&self, database: &str) -> DatabaseUrl {
        self.url(database).parse().expect("an address")
    }

    /// The socket that it listens on.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Sends a signal to all processes of the server, to the first one first, so that it starts no others meanwhile.
    pub(super) fn signal(&self, name: &str) {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        let Some(first) = file.lines().next().map(str::to_owned) else {
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

    pub(super) fn start_again(&self) {
        // The shared memory of the killed processes is freed a moment after their end.
        for _ in 0..50 {
            let started = as_its_user(self.programs.join("pg_ctl"))
                .arg("-D")
                .arg(self.folder.join("data"))
                .args(["-w", "-l"])
                .arg(self.folder.join("log"))
                .arg("start")
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

    /// Stops it for good.
    pub(super) fn end(&mut self) {
        self.signal("CONT");
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
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

/// Says on standard error that tests on PostgreSQL are skipped, past the capture of output.
///
/// # Panics
/// If `TRUNKLINE_TEST_REQUIRE_POSTGRES` is set.
pub(super) fn skip(why: &str) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{why} ({REQUIRED} is set)");
    let _ = writeln!(std::io::stderr(), "SKIPPED: tests on PostgreSQL: {why}");
}
