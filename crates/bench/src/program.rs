//! The real program's processes: `trunkline serve` and `trunkline worker`, as people start them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value as Json;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::app::{API_KEY, AppOrder, ENCRYPTION_KEY};

/// Within which a process must be ready.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at its log.
const LOOK: Duration = Duration::from_millis(50);

/// How to start the program.
pub(crate) struct Program {
    file: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// A running process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Program {
    /// The program at `file`, or the one beside this program, wired as `order` says. Logs go to `folder`.
    pub(crate) fn new(
        file: Option<&Path>,
        folder: &Path,
        order: &AppOrder,
        concurrency: u32,
    ) -> anyhow::Result<Self> {
        let file = match file {
            Some(file) => file.to_owned(),
            None => std::env::current_exe()
                .context("asking for the program's own file")?
                .with_file_name("trunkline"),
        };
        ensure!(
            file.is_file(),
            "there is no {}: cargo build --release -p trunkline makes it, --program names another",
            file.display()
        );
        let file = file.canonicalize().context("finding the program")?;
        let mut variables = vec![
            ("TRUNKLINE_DATABASE__URL", order.database.clone()),
            ("TRUNKLINE_ENCRYPTION_KEY", ENCRYPTION_KEY.to_owned()),
            ("TRUNKLINE_SECRET_KEY", API_KEY.to_owned()),
            ("TRUNKLINE_PROVIDERS__TWILIO__BASE_URL", order.sim.url.clone()),
            ("TRUNKLINE_WORKER__CONCURRENCY", concurrency.to_string()),
            ("TRUNKLINE_LOG__FORMAT", "json".to_owned()),
        ];
        if let Some(folder) = &order.integrations {
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
        let out = File::create(&log).context("making a log")?;
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
            .with_context(|| format!("starting {}", self.file.display()))?;
        let mut process = Process {
            child,
            name: name.to_owned(),
            log,
        };
        let start = Instant::now();
        while process.ready()?.is_none() {
            process.must_live()?;
            ensure!(start.elapsed() < PATIENCE, "{name} is not ready in time");
            sleep(LOOK).await;
        }
        Ok(process)
    }
}

impl Process {
    /// Its process id.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child
            .id()
            .with_context(|| format!("{} has ended", self.name))
    }

    /// Where it serves, as it logged it: host and port.
    pub(crate) fn address(&self) -> anyhow::Result<String> {
        let ready = self.ready()?.context("it is not ready")?;
        let url = ready
            .get("url")
            .and_then(Json::as_str)
            .context("it tells no address")?;
        Ok(url.trim_start_matches("http://").trim_end_matches('/').to_owned())
    }

    /// An error with the end of its log if it has ended.
    pub(crate) fn must_live(&mut self) -> anyhow::Result<()> {
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

    /// Lines of its log at the levels of a warning and an error.
    pub(crate) fn complaints(&self) -> anyhow::Result<u64> {
        let log = std::fs::read_to_string(&self.log)?;
        let complains =
            |line: &&str| line.contains(r#""level":"WARN""#) || line.contains(r#""level":"ERROR""#);
        Ok(u64::try_from(log.lines().filter(complains).count())?)
    }

    /// The line by which it says that it is ready.
    fn ready(&self) -> anyhow::Result<Option<Json>> {
        let log = std::fs::read_to_string(&self.log)?;
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Json>(line).ok());
        Ok(lines.find(|line| line.get("message").and_then(Json::as_str) == Some("ready")))
    }
}
