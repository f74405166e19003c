//! Processes of the program that work on the database of a test's app.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use testkit::TestApp;

/// The API key of the environment of the processes.
pub(crate) const SECRET_KEY: &str = "5b0f1d52-3c1c-4c1b-9d0e-0f6f2f0e7a11";

/// Pages are small, so that there are many moments to be killed; one run reads the whole list.
pub(crate) fn small_pages(file: &str) -> String {
    let changed = file
        .replace("limit: 1000\n", "limit: 100\n")
        .replace("pages: 100", "pages: 1000");
    assert_ne!(changed, file);
    changed
}

/// A folder for processes and their logs.
pub(crate) struct Sandbox {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    started: u32,
}

impl Sandbox {
    pub(crate) fn new(app: &TestApp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let integrations = folder.path().join("integrations");
        std::fs::create_dir(&integrations).unwrap();
        let file = small_pages(include_str!("../../../../integrations/twilio.yaml"));
        std::fs::write(integrations.join("twilio.yaml"), file).unwrap();
        let variables = vec![
            ("TRUNKLINE_DATABASE__URL", app.database().address()),
            (
                "TRUNKLINE_ENCRYPTION_KEY",
                app.encryption_key().expose_secret().to_owned(),
            ),
            ("TRUNKLINE_SECRET_KEY", SECRET_KEY.to_owned()),
            ("TRUNKLINE_PROVIDERS__TWILIO__BASE_URL", app.simulator().url()),
            ("TRUNKLINE_INTEGRATIONS_DIR", integrations.display().to_string()),
            ("TRUNKLINE_WORKER__LEASE_SECONDS", "1".to_owned()),
            ("TRUNKLINE_WORKER__POLL_MS", "50".to_owned()),
            // Two workers share the four connections.
            ("TRUNKLINE_WORKER__CONCURRENCY", "2".to_owned()),
            ("TRUNKLINE_LOG__LEVEL", "debug".to_owned()),
        ];
        Self {
            folder,
            variables,
            started: 0,
        }
    }

    /// Sets an environment variable of processes that start later.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    /// Starts the program; it is killed when dropped.
    pub(crate) fn start(&mut self, arguments: &[&str]) -> Process {
        self.started += 1;
        let log = self.folder.path().join(format!("{}.log", self.started));
        let (out, err) = (
            File::create(&log).unwrap(),
            File::options().append(true).open(&log).unwrap(),
        );
        let child = Command::new(env!("CARGO_BIN_EXE_trunkline"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap();
        Process { child, log }
    }

    /// Returns the output of all processes.
    pub(crate) fn logs(&self) -> String {
        let log = |number| std::fs::read_to_string(self.folder.path().join(format!("{number}.log"))).unwrap();
        (1..=self.started).map(log).collect()
    }
}

/// A process of the program.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Returns a field of the first log line that has it.
    pub(crate) fn logged(&self, name: &str) -> Option<String> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|line| line.get(name)?.as_str().map(str::to_owned))
    }

    /// Returns whether the process is one of these lease holders.
    pub(crate) fn is_among(&self, holders: &[String]) -> bool {
        self.logged("worker.id")
            .is_some_and(|id| holders.iter().any(|holder| holder.starts_with(&id)))
    }

    /// Kills the process; fails if it is not alive.
    pub(crate) fn kill(mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "it lives: {:?}", self.log);
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(10).collect();
            let _ = writeln!(
                std::io::stderr(),
                "the end of a process's log, newest first: {end:#?}"
            );
        }
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
