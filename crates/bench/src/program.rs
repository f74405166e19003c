//! Processes of the real program: `trunkline serve` and `trunkline worker`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value as Json;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::app::{API_KEY, AppOptions, ENCRYPTION_KEY};

/// The timeout for a process to become ready.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time between two reads of its log.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(50);

/// The path and environment of the program.
pub(crate) struct Program {
    file: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// A running process, killed on drop.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Program {
    /// Prepares the program at `file`, or the one beside this program, with `options`. Logs go to `folder`.
    pub(crate) fn new(
        file: Option<&Path>,
        folder: &Path,
        options: &AppOptions,
        concurrency: u32,
    ) -> anyhow::Result<Self> {
        let file = match file {
            Some(file) => file.to_owned(),
            None => std::env::current_exe()
                .context("cannot find the path of this program")?
                .with_file_name("trunkline"),
        };
        ensure!(
            file.is_file(),
            "there is no {}: cargo build --release -p trunkline makes it, --program names another",
            file.display()
        );
        let file = file.canonicalize().context("cannot find the program")?;
        let mut variables = vec![
            ("TRUNKLINE_DATABASE__URL", options.database.clone()),
            ("TRUNKLINE_ENCRYPTION_KEY", ENCRYPTION_KEY.to_owned()),
            ("TRUNKLINE_SECRET_KEY", API_KEY.to_owned()),
            ("TRUNKLINE_PROVIDERS__TWILIO__BASE_URL", options.sim.url.clone()),
            ("TRUNKLINE_WORKER__CONCURRENCY", concurrency.to_string()),
            ("TRUNKLINE_LOG__FORMAT", "json".to_owned()),
        ];
        if let Some(folder) = &options.integrations {
            variables.push(("TRUNKLINE_INTEGRATIONS_DIR", folder.display().to_string()));
        }
        Ok(Self {
            file,
            folder: folder.to_owned(),
            variables,
        })
    }

    /// Starts a process and waits until it is ready.
    pub(crate) async fn start(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Process> {
        let log = self.folder.join(format!("{name}.log"));
        let out = File::create(&log).context("cannot create a log file")?;
        let child = Command::new(&self.file)
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.file.display()))?;
        let mut process = Process {
            child,
            name: name.to_owned(),
            log,
        };
        let start = Instant::now();
        while process.ready()?.is_none() {
            process.ensure_running()?;
            ensure!(start.elapsed() < PATIENCE, "timeout while waiting for {name}");
            sleep(SAMPLE_INTERVAL).await;
        }
        Ok(process)
    }
}

impl Process {
    /// Returns the process id.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child
            .id()
            .with_context(|| format!("{} has exited", self.name))
    }

    /// Returns the host and port from its log.
    pub(crate) fn address(&self) -> anyhow::Result<String> {
        let ready = self.ready()?.context("the process is not ready")?;
        let url = ready
            .get("url")
            .and_then(Json::as_str)
            .context("the log has no address")?;
        Ok(url.trim_start_matches("http://").trim_end_matches('/').to_owned())
    }

    /// Returns an error with the end of its log if it has exited.
    pub(crate) fn ensure_running(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(&self.log)?;
            let end: Vec<&str> = log.lines().rev().take(5).collect();
            anyhow::bail!(
                "{} ended: {status}; its last words, newest first: {end:#?}",
                self.name
            );
        }
        Ok(())
    }

    /// Returns the number of warnings and errors in its log.
    pub(crate) fn count_warnings(&self) -> anyhow::Result<u64> {
        let log = std::fs::read_to_string(&self.log)?;
        let complains =
            |line: &&str| line.contains(r#""level":"WARN""#) || line.contains(r#""level":"ERROR""#);
        Ok(u64::try_from(log.lines().filter(complains).count())?)
    }

    /// Returns the log line that reports that it is ready.
    fn ready(&self) -> anyhow::Result<Option<Json>> {
        let log = std::fs::read_to_string(&self.log)?;
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Json>(line).ok());
        Ok(lines.find(|line| line.get("message").and_then(Json::as_str) == Some("ready")))
    }
}
