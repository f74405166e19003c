//! Rows a second: the floors, the sync's first load, a sync without changes, and a sync with one in a hundred messages changed.

use anyhow::ensure;
use serde::Serialize;

use crate::database::{Database, DatabaseKind};
use crate::floor::{self, Floors};
use crate::report::{Goal, Report, Table, count, float, megabytes, micros, rate, ratio};
use crate::setup::Setup;
use crate::sim::Sim;
use crate::sync::{self, Synced};

/// The share of messages that change.
const SHARE: f64 = 0.01;

/// One round on one database.
#[derive(Debug, Clone, Serialize)]
struct Round {
    first: Synced,
    floors: Floors,
    unchanged: Synced,
    changed: Synced,
}

/// Measures both databases.
pub(crate) async fn measure(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let mut sim = Sim::start(setup.messages, 0, setup.now).await?;
    for kind in setup.databases() {
        let mut rounds = Vec::new();
        for number in 1..=setup.rounds {
            rounds.push(round(setup, kind, &mut sim, number).await?);
        }
        add_to(report, kind, &rounds, setup.messages);
        report.figure(&format!("throughput.{}", kind.name()), &rounds)?;
    }
    sim.end().await
}

async fn round(setup: &Setup, kind: &DatabaseKind, sim: &mut Sim, number: u32) -> anyhow::Result<Round> {
    let step = |what: &str| {
        setup.progress.step(format!(
            "{}, round {number} of {}: {what}",
            kind.name(),
            setup.rounds
        ));
    };
    let database = kind.database()?;
    step("first load");
    let first = sync::everything(&database, sim, None).await?;
    // Another part of the sync reads messages without a date, a few in a thousand.
    ensure!(
        first.updated == 0 && first.added * 100 > setup.messages * 98,
        "the first load is not one: {first:?}"
    );
    step("floors");
    let floors = floor::measure(&database, || kind.database()).await?;
    step("unchanged");
    let unchanged = sync::everything(&database, sim, None).await?;
    ensure!(
        unchanged.unchanged == unchanged.read && unchanged.read >= first.added,
        "something has changed: {unchanged:?}"
    );
    step("1 % changed");
    let changes = sim.change(SHARE).await?;
    let changed = sync::everything(&database, sim, None).await?;
    let share = float(changed.updated) / float(first.added);
    ensure!(
        changed.added == 0 && (SHARE * 0.8..SHARE * 1.2).contains(&share),
        "{changes} messages were changed: {changed:?}"
    );
    settle(database).await?;
    Ok(Round {
        first,
        floors,
        unchanged,
        changed,
    })
}

/// Drops a database on a blocking thread, because the server may take a while.
async fn settle(database: Database) -> anyhow::Result<()> {
    Ok(tokio::task::spawn_blocking(move || drop(database)).await?)
}

/// A line of the table: an operation and its cost.
struct Line {
    name: &'static str,
    rows: u64,
    seconds: f64,
    cpu: f64,
    server_cpu: Option<f64>,
    sim_cpu: Option<f64>,
    /// Records read per row.
    read: Option<f64>,
    memory: Option<u64>,
}

impl Line {
    fn floor(name: &'static str, floor: &floor::Floor) -> Self {
        Self {
            name,
            rows: floor.rows,
            seconds: floor.seconds,
            cpu: floor.cpu,
            server_cpu: floor.server_cpu,
            sim_cpu: None,
            read: None,
            memory: None,
        }
    }

    /// `rows` are the rows in the table, so that records read twice count once.
    fn synced(name: &'static str, rows: u64, synced: &Synced) -> Self {
        Self {
            name,
            rows,
            seconds: synced.seconds,
            cpu: synced.cpu,
            server_cpu: synced.server_cpu,
            sim_cpu: Some(synced.sim_cpu),
            read: Some(float(synced.read) / float(rows)),
            memory: Some(synced.peak_memory),
        }
    }

    fn rate(&self) -> f64 {
        float(self.rows) / self.seconds
    }

    fn all_cpu(&self) -> f64 {
        self.cpu + self.server_cpu.unwrap_or_default()
    }
}

/// Returns the line of median speed.
fn middle(mut lines: Vec<Line>) -> Option<Line> {
    lines.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let middle = lines.len() / 2;
    lines.into_iter().nth(middle)
}

fn add_to(report: &mut Report, kind: &DatabaseKind, rounds: &[Round], messages: u64) {
    let synced = |name, of: fn(&Round) -> &Synced| {
        middle(
            rounds
                .iter()
                .map(|round| Line::synced(name, round.first.added, of(round)))
                .collect(),
        )
    };
    let name = match kind {
        DatabaseKind::Sqlite(_) => "floor: prepared inserts, 1000 a transaction",
        DatabaseKind::Postgres(_) => "floor: COPY, 1000 a transaction",
    };
    let floor = middle(
        rounds
            .iter()
            .map(|round| Line::floor(name, &round.floors.pages))
            .collect(),
    );
    let wholes = rounds.iter().filter_map(|round| round.floors.whole.as_ref());
    let whole = middle(
        wholes
            .map(|whole| Line::floor("one COPY of everything", whole))
            .collect(),
    );
    let first = synced("sync, first load", |round| &round.first);
    let unchanged = synced("sync, unchanged", |round| &round.unchanged);
    let changed = synced("sync, 1 % changed", |round| &round.changed);
    let (Some(floor), Some(first), Some(unchanged)) = (floor, first, unchanged) else {
        return;
    };
    let wanted = match kind {
        DatabaseKind::Sqlite(_) => 0.9,
        DatabaseKind::Postgres(_) => 0.85,
    };
    report.goal(Goal::least(
        format!("{}: first load, share of the floor's rows a second", kind.name()),
        wanted,
        first.rate() / floor.rate(),
    ));
    report.goal(Goal::least(
        format!("{}: unchanged, times as fast as the first load", kind.name()),
        4.0,
        unchanged.rate() / first.rate(),
    ));
    let mut table = Table::new(
        format!(
            "{}: {} messages, rounds: {} (the one of median speed is shown)",
            kind.name(),
            count(messages),
            rounds.len()
        ),
        &[
            "",
            ">rows/s",
            ">to floor",
            ">to first load",
            ">CPU µs/row",
            ">with server",
            ">to floor",
            ">simulator",
            ">read/row",
            ">peak RSS",
        ],
    );
    for line in [
        Some(&floor),
        whole.as_ref(),
        Some(&first),
        Some(&unchanged),
        changed.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        let each = |seconds: f64| micros(seconds / float(line.rows));
        let floor_cpu = floor.all_cpu() / float(floor.rows);
        table.row([
            line.name.to_owned(),
            rate(line.rate()),
            ratio(line.rate() / floor.rate()),
            ratio(line.rate() / first.rate()),
            each(line.cpu),
            line.server_cpu.map(|_| each(line.all_cpu())).unwrap_or_default(),
            ratio(line.all_cpu() / float(line.rows) / floor_cpu),
            line.sim_cpu.map(each).unwrap_or_default(),
            line.read.map(ratio).unwrap_or_default(),
            line.memory.map(megabytes).unwrap_or_default(),
        ]);
    }
    report.table(table);
}
