//! Many connections with a sync every minute: the delay of runs, and the latency of the API at the same time.
//!
//! Two workers and two servers of the real program share one PostgreSQL. Figures of runs come only from the `runs` table.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use domain::{Clock, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::app::{AppOptions, INTEGRATION};
use crate::database::{self, Database, DatabaseKind};
use crate::load::{Client, Target};
use crate::postgres::{LONG_SETTINGS, Server};
use crate::program::{Process, Program};
use crate::report::{Report, float, seconds};
use crate::schedule_report::{Cost, CpuTimes, EVERY, Measured, Percentiles, Run, add_to, span};
use crate::setup::Progress;
use crate::sim::Sim;
use crate::{cpu, many_connections};

/// The schedule in the built-in file.
const DECLARED: &str = "\n    runs: every 5 minutes\n";
const WORKERS: u32 = 2;
const SERVERS: u32 = 2;
/// Clients of each API, and the time between two requests of a client.
const CLIENTS: u32 = 2;
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);
const PATH: &str = "/connections?limit=10";
/// The time between two checks of the backfills. Each check adds load to the measurement.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(2);
/// The timeout when no backfill ends.
const PATIENCE: Duration = Duration::from_mins(5);
/// The wait before measuring, in which overdue runs catch up.
const SETTLE: Duration = Duration::from_mins(1);
/// The time in which the cost of a run is measured, without requests to the APIs.
const QUIET: Duration = Duration::from_mins(2);

/// The options of the schedule benchmark.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Connections, each with one sync every minute
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// Measured minutes, after all backfills
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=1_440))]
    minutes: u32,
    /// Messages of the account that all connections read
    #[arg(long, default_value_t = 50)]
    account_messages: u64,
    /// Syncs that each worker runs in parallel
    #[arg(long, default_value_t = 16)]
    concurrency: u32,
    /// The program [default: trunkline beside this one]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// The processes of the measurement.
struct Processes {
    database: Database,
    server: Arc<Server>,
    sim: Sim,
    workers: Vec<Process>,
    servers: Vec<Process>,
}

/// The results of the clients: milliseconds of each response, and requests without a response.
#[derive(Default)]
struct Responses {
    took: Vec<f64>,
    unanswered: u64,
}

/// Runs the schedule benchmark.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let progress = Progress::new()?;
    let mut report = Report::default();
    report.machine();
    let folder = database::folder()?;
    progress.step("starting PostgreSQL, the simulator and the program".to_owned());
    let begun = Instant::now();
    let mut processes = Processes::open(options, folder.path(), &progress).await?;
    report.setting(
        "PostgreSQL",
        format!("{}, {LONG_SETTINGS}", processes.server.version()?),
    );
    report.setting(
        "workers",
        format!("{WORKERS}, with {} parallel runs each", options.concurrency),
    );
    report.setting("setup time", seconds(begun.elapsed().as_secs_f64()));
    let first = processes.wait_for_backfills(options, &progress).await?;
    progress.step(format!(
        "waiting one minute, measuring runs alone for two, then everything for {}",
        options.minutes
    ));
    sleep(SETTLE).await;
    let cost = processes.cost_of_a_run().await?;

    let length = Duration::from_secs(60 * u64::from(options.minutes));
    let (before, from) = (processes.used()?, Clock::system().now());
    let answers = processes.request_all_apis(length).await?;
    let (after, to) = (processes.used()?, Clock::system().now());
    let worker_memory = processes
        .workers
        .iter()
        .map(|worker| cpu::memory_of_family(worker.pid()?));
    let worker_memory = worker_memory.sum::<anyhow::Result<u64>>()?;
    for process in processes.workers.iter_mut().chain(&mut processes.servers) {
        process.ensure_running()?;
    }
    progress.step("reading the runs".to_owned());
    let measured = processes
        .measured(
            options,
            (first, cost),
            (from, to),
            before.until(after),
            worker_memory,
            answers,
        )
        .await?;
    progress.end();
    add_to(&mut report, &measured);
    report.figure("schedule", &measured)?;
    Ok(report)
}

impl Processes {
    /// Starts all processes. The workers start last, when all connections exist.
    async fn open(options: &Options, folder: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let server = tokio::task::spawn_blocking(|| Server::start_with(LONG_SETTINGS)).await??;
        let server = Arc::new(server);
        let database = DatabaseKind::Postgres(Arc::clone(&server)).database()?;
        let sim = Sim::start(options.account_messages, 0, Clock::system().now()).await?;
        let app_options = AppOptions {
            database: database.address().to_owned(),
            sim: sim.access.clone(),
            integrations: Some(every_minute_provider_file(folder)?),
        };
        let program = Program::new(
            options.program.as_deref(),
            folder,
            &app_options,
            options.concurrency,
        )?;
        progress.step(format!("creating {} connections", options.connections));
        many_connections::make(&app_options, options.connections, interval_of_schedule()?).await?;
        database.settle().await?;
        progress.step("starting the program's processes".to_owned());
        let (mut workers, mut servers) = (Vec::new(), Vec::new());
        for number in 1..=SERVERS {
            let arguments = ["serve", "--no-worker", "--listen", "127.0.0.1:0"];
            servers.push(program.start(&format!("serve-{number}"), &arguments).await?);
        }
        for number in 1..=WORKERS {
            workers.push(program.start(&format!("worker-{number}"), &["worker"]).await?);
        }
        Ok(Self {
            database,
            server,
            sim,
            workers,
            servers,
        })
    }

    /// Waits until all backfills have ended. Returns the seconds.
    async fn wait_for_backfills(&mut self, options: &Options, progress: &Progress) -> anyhow::Result<f64> {
        let start = Instant::now();
        let (mut done, mut last) = (0, Instant::now());
        loop {
            let now = self
                .number("SELECT count(*) FROM syncs WHERE checkpoint::jsonb->>'backfilled' IS NOT NULL")
                .await?;
            if now >= u64::from(options.connections) {
                return Ok(start.elapsed().as_secs_f64());
            }
            if now > done {
                (done, last) = (now, Instant::now());
            }
            ensure!(
                last.elapsed() < PATIENCE,
                "only {done} of {} backfills have ended",
                options.connections
            );
            for worker in &mut self.workers {
                worker.ensure_running()?;
            }
            progress.step(format!("backfills: {done} of {}", options.connections));
            sleep(SAMPLE_INTERVAL).await;
        }
    }

    fn used(&self) -> anyhow::Result<CpuTimes> {
        let of = |processes: &[Process]| -> anyhow::Result<f64> {
            processes.iter().map(|process| cpu::of(process.pid()?)).sum()
        };
        Ok(CpuTimes {
            workers: of(&self.workers)?,
            servers: of(&self.servers)?,
            postgres: self.server.cpu()?,
            simulator: cpu::of(self.sim.pid()?)?,
        })
    }

    /// Measures the cost of a run while only runs use PostgreSQL.
    async fn cost_of_a_run(&self) -> anyhow::Result<Cost> {
        let commits = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        let (from, commits_before, used) = (Clock::system().now(), self.number(commits).await?, self.used()?);
        sleep(QUIET).await;
        let (to, commits_after) = (Clock::system().now(), self.number(commits).await?);
        let used = used.until(self.used()?);
        let runs = self
            .number(&format!(
                "SELECT count(*) FROM runs WHERE finished_at >= {} AND finished_at < {}",
                from.as_micros(),
                to.as_micros()
            ))
            .await?;
        ensure!(runs > 0, "no run ended within two minutes");
        Ok(Cost {
            commits: float(commits_after.saturating_sub(commits_before)) / float(runs),
            postgres: used.postgres * 1_000.0 / float(runs),
        })
    }

    /// Sends requests to every API for `length`.
    async fn request_all_apis(&self, length: Duration) -> anyhow::Result<Responses> {
        let mut clients = JoinSet::new();
        for server in &self.servers {
            let target = Target::new(&server.address()?, Vec::new()).with_key()?;
            for _ in 0..CLIENTS {
                clients.spawn(request_repeatedly(target.clone(), length));
            }
        }
        let mut all = Responses::default();
        while let Some(of_client) = clients.join_next().await {
            let of_client = of_client?;
            all.took.extend(of_client.took);
            all.unanswered += of_client.unanswered;
        }
        Ok(all)
    }

    async fn measured(
        &self,
        options: &Options,
        (first, cost): (f64, Cost),
        (from, to): (Timestamp, Timestamp),
        used: CpuTimes,
        worker_memory: u64,
        answers: Responses,
    ) -> anyhow::Result<Measured> {
        let began = format!(
            "started_at >= {} AND started_at < {}",
            from.as_micros(),
            to.as_micros()
        );
        let rows = self
            .query(format!(
                "SELECT sync_id, syncs.created_at, started_at, coalesce(before, started_at), coalesce(finished_at, started_at) FROM \
                 (SELECT *, lag(finished_at) OVER (PARTITION BY sync_id ORDER BY number) AS before FROM runs) AS r \
                 JOIN syncs ON syncs.id = sync_id WHERE {began}"
            ))
            .await?;
        let runs: Vec<Run> = rows.lines().map(Run::parse).collect::<anyhow::Result<_>>()?;
        let schedule = registry::Schedule::parse_every(EVERY)?;
        let late = runs.iter().map(|run| run.late(&schedule)).collect();
        let took = runs.iter().map(|run| span(run.finished, run.started)).collect();
        let number = u64::try_from(runs.len())?;
        let processes = self.workers.iter().chain(&self.servers);
        Ok(Measured {
            connections: options.connections,
            minutes: options.minutes,
            first,
            runs: number,
            per_second: float(number) / span(to, from),
            late: Percentiles::of(late),
            took: Percentiles::of(took),
            cost,
            failed: self.number(&format!("SELECT count(*) FROM runs WHERE status = 'failed' AND {began}")).await?,
            resumed: self.number(&format!("SELECT count(*) FROM runs WHERE resumed > 0 AND {began}")).await?,
            overlapping: self
                .number(
                    "SELECT count(*) FROM (SELECT started_at, max(coalesce(finished_at, 9223372036854775807)) OVER \
                     (PARTITION BY sync_id ORDER BY started_at, number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ended \
                     FROM runs WHERE started_at IS NOT NULL) AS r WHERE started_at < ended",
                )
                .await?,
            short: self
                .number(&format!(
                    "SELECT count(*) FROM syncs WHERE (SELECT count(*) FROM runs WHERE sync_id = syncs.id AND {began}) < {}",
                    options.minutes - 1
                ))
                .await?,
            used,
            worker_memory,
            complaints: processes.map(Process::count_warnings).sum::<anyhow::Result<u64>>()?,
            answers: u64::try_from(answers.took.len())?,
            unanswered: answers.unanswered,
            answer: Percentiles::of(answers.took),
        })
    }

    /// Returns the output of a statement. Runs psql on a blocking thread.
    async fn query(&self, sql: String) -> anyhow::Result<String> {
        let (server, address) = (Arc::clone(&self.server), self.database.address().to_owned());
        let answer = tokio::task::spawn_blocking(move || server.query(&address, &sql)).await??;
        Ok(String::from_utf8(answer)?)
    }

    async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let answer = self.query(sql.to_owned()).await?;
        answer
            .trim()
            .parse()
            .with_context(|| format!("not a number: {answer:?}"))
    }
}

/// Runs one client: ten requests a second, on one connection while it is open.
async fn request_repeatedly(target: Target, length: Duration) -> Responses {
    let (mut answers, start) = (Responses::default(), Instant::now());
    let mut ticks = interval(REQUEST_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client = None;
    while start.elapsed() < length {
        ticks.tick().await;
        let begun = Instant::now();
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => Client::connect(&target).await,
        };
        let Ok(mut connected) = connected else {
            answers.unanswered += 1;
            continue;
        };
        if connected.length(PATH).await.is_ok() {
            answers.took.push(begun.elapsed().as_secs_f64() * 1000.0);
            client = Some(connected);
        } else {
            answers.unanswered += 1;
        }
    }
    answers
}

/// Creates a folder with the provider file, changed to run every minute.
fn every_minute_provider_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let text = include_str!("../../../integrations/twilio.yaml");
    ensure!(
        text.matches(DECLARED).count() == 1,
        "the provider file must contain {:?} once",
        DECLARED.trim()
    );
    let integrations = folder.join("integrations");
    std::fs::create_dir(&integrations)?;
    let text = text.replace(DECLARED, &format!("\n    runs: {EVERY}\n"));
    std::fs::write(integrations.join(format!("{INTEGRATION}.yaml")), text)
        .context("cannot write a provider file")?;
    Ok(integrations)
}

fn interval_of_schedule() -> anyhow::Result<Duration> {
    let schedule = registry::Schedule::parse_every(EVERY)?;
    schedule.interval().context("the schedule has no interval")
}
