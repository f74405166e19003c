//! Very many connections with a sync every minute: how late runs begin, and whether the API stays quick meanwhile.
//!
//! Two workers and two servers of the real program share one PostgreSQL. Figures of runs come from the `runs` table alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use domain::{Clock, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::app::{AppOrder, INTEGRATION};
use crate::database::{self, Database, Place};
use crate::lab::Progress;
use crate::load::{Asked, Client};
use crate::postgres::{LONG_SETTINGS, Server};
use crate::program::{Process, Program};
use crate::punctual::{Cost, EVERY, Measured, Run, Spread, Used, span, tell};
use crate::report::{Report, float, seconds};
use crate::sim::Sim;
use crate::{cpu, crowd};

/// What the built-in file says.
const DECLARED: &str = "\n    runs: every 5 minutes\n";
const WORKERS: u32 = 2;
const SERVERS: u32 = 2;
/// Clients of each API, and the time between two questions of one.
const CLIENTS: u32 = 2;
const ASK_EVERY: Duration = Duration::from_millis(100);
const PATH: &str = "/connections?limit=10";
/// Between two looks at the first readings, which take part in what they measure.
const LOOK: Duration = Duration::from_secs(2);
/// How long no first reading may end before it is given up.
const PATIENCE: Duration = Duration::from_mins(5);
/// Before measuring, so that what fell due behind the first readings is caught up with.
const SETTLE: Duration = Duration::from_mins(1);
/// How long the cost of a run is measured, without requests to the APIs.
const QUIET: Duration = Duration::from_mins(2);

/// How much to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Connections, each with one sync every minute
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// Minutes that are measured, after all first readings
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=1_440))]
    minutes: u32,
    /// Messages of the account that all connections read
    #[arg(long, default_value_t = 50)]
    account_messages: u64,
    /// Syncs that each worker runs side by side
    #[arg(long, default_value_t = 16)]
    concurrency: u32,
    /// The program [default: trunkline beside this one]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// The processes that run while it is measured.
struct Stage {
    database: Database,
    server: Arc<Server>,
    sim: Sim,
    workers: Vec<Process>,
    servers: Vec<Process>,
}

/// What the clients of the APIs saw: milliseconds of each answer, and questions without one.
#[derive(Default)]
struct Answers {
    took: Vec<f64>,
    unanswered: u64,
}

/// Measures it.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let progress = Progress::new()?;
    let mut report = Report::default();
    report.machine();
    let folder = database::folder()?;
    progress.step("starting PostgreSQL, the simulator and the program".to_owned());
    let begun = Instant::now();
    let mut stage = Stage::open(options, folder.path(), &progress).await?;
    report.setting(
        "PostgreSQL",
        format!("{}, {LONG_SETTINGS}", stage.server.version()?),
    );
    report.setting(
        "workers",
        format!("{WORKERS}, with {} runs side by side each", options.concurrency),
    );
    report.setting("made ready", seconds(begun.elapsed().as_secs_f64()));
    let first = stage.first_readings(options, &progress).await?;
    progress.step(format!(
        "a minute to catch up, two of runs alone, then {} of all",
        options.minutes
    ));
    sleep(SETTLE).await;
    let cost = stage.cost_of_a_run().await?;

    let length = Duration::from_secs(60 * u64::from(options.minutes));
    let (before, from) = (stage.used()?, Clock::system().now());
    let answers = stage.ask_apis(length).await?;
    let (after, to) = (stage.used()?, Clock::system().now());
    let worker_memory = stage
        .workers
        .iter()
        .map(|worker| cpu::memory_of_family(worker.pid()?));
    let worker_memory = worker_memory.sum::<anyhow::Result<u64>>()?;
    for process in stage.workers.iter_mut().chain(&mut stage.servers) {
        process.must_live()?;
    }
    progress.step("reading the runs".to_owned());
    let measured = stage
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
    tell(&mut report, &measured);
    report.figure("schedule", &measured)?;
    Ok(report)
}

impl Stage {
    /// Starts everything; the workers last, when all connections are there.
    async fn open(options: &Options, folder: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let server = tokio::task::spawn_blocking(|| Server::start_with(LONG_SETTINGS)).await??;
        let server = Arc::new(server);
        let database = Place::Postgres(Arc::clone(&server)).database()?;
        let sim = Sim::start(options.account_messages, 0, Clock::system().now()).await?;
        let order = AppOrder {
            database: database.address().to_owned(),
            sim: sim.access.clone(),
            integrations: Some(every_minute(folder)?),
        };
        let program = Program::new(options.program.as_deref(), folder, &order, options.concurrency)?;
        progress.step(format!("making {} connections", options.connections));
        crowd::make(&order, options.connections, every()?).await?;
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

    /// Waits until every connection was read for the first time; gives the seconds that it took.
    async fn first_readings(&mut self, options: &Options, progress: &Progress) -> anyhow::Result<f64> {
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
                "only {done} of {} connections were read",
                options.connections
            );
            for worker in &mut self.workers {
                worker.must_live()?;
            }
            progress.step(format!("first readings: {done} of {}", options.connections));
            sleep(LOOK).await;
        }
    }

    fn used(&self) -> anyhow::Result<Used> {
        let of = |processes: &[Process]| -> anyhow::Result<f64> {
            processes.iter().map(|process| cpu::of(process.pid()?)).sum()
        };
        Ok(Used {
            workers: of(&self.workers)?,
            servers: of(&self.servers)?,
            postgres: self.server.cpu()?,
            simulator: cpu::of(self.sim.pid()?)?,
        })
    }

    /// What a run costs PostgreSQL while nothing but runs is going on.
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

    /// Asks every API for so long.
    async fn ask_apis(&self, length: Duration) -> anyhow::Result<Answers> {
        let mut asking = JoinSet::new();
        for server in &self.servers {
            let asked = Asked::new(&server.address()?, Vec::new()).with_key()?;
            for _ in 0..CLIENTS {
                asking.spawn(ask(asked.clone(), length));
            }
        }
        let mut all = Answers::default();
        while let Some(of_client) = asking.join_next().await {
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
        used: Used,
        worker_memory: u64,
        answers: Answers,
    ) -> anyhow::Result<Measured> {
        let began = format!(
            "started_at >= {} AND started_at < {}",
            from.as_micros(),
            to.as_micros()
        );
        let rows = self
            .ask(format!(
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
            late: Spread::of(late),
            took: Spread::of(took),
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
            complaints: processes.map(Process::complaints).sum::<anyhow::Result<u64>>()?,
            answers: u64::try_from(answers.took.len())?,
            unanswered: answers.unanswered,
            answer: Spread::of(answers.took),
        })
    }

    /// What a statement answers; asked on a thread of its own, since psql is waited for.
    async fn ask(&self, sql: String) -> anyhow::Result<String> {
        let (server, address) = (Arc::clone(&self.server), self.database.address().to_owned());
        let answer = tokio::task::spawn_blocking(move || server.ask(&address, &sql)).await??;
        Ok(String::from_utf8(answer)?)
    }

    async fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let answer = self.ask(sql.to_owned()).await?;
        answer
            .trim()
            .parse()
            .with_context(|| format!("no number: {answer:?}"))
    }
}

/// One client: asks ten times a second, on one connection as long as that stands.
async fn ask(asked: Asked, length: Duration) -> Answers {
    let (mut answers, start) = (Answers::default(), Instant::now());
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client = None;
    while start.elapsed() < length {
        ticks.tick().await;
        let begun = Instant::now();
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => Client::connect(&asked).await,
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

/// A folder with the provider file as it is, but for how often it runs.
fn every_minute(folder: &Path) -> anyhow::Result<PathBuf> {
    let text = include_str!("../../../integrations/twilio.yaml");
    ensure!(
        text.matches(DECLARED).count() == 1,
        "the provider file does not say once {:?}",
        DECLARED.trim()
    );
    let integrations = folder.join("integrations");
    std::fs::create_dir(&integrations)?;
    let text = text.replace(DECLARED, &format!("\n    runs: {EVERY}\n"));
    std::fs::write(integrations.join(format!("{INTEGRATION}.yaml")), text)
        .context("writing a provider file")?;
    Ok(integrations)
}

fn every() -> anyhow::Result<Duration> {
    let schedule = registry::Schedule::parse_every(EVERY)?;
    schedule.interval().context("no interval")
}
