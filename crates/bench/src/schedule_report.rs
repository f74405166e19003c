//! The report of the schedule benchmark: delays, durations, CPU time and goals.

use domain::Timestamp;
use serde::Serialize;

use crate::report::{Goal, Report, Table, count, float, megabytes, milliseconds, seconds};

/// How often each sync runs.
pub(crate) const EVERY: &str = "every minute";

/// The goal for the 99th percentile of delays in seconds.
const WANTED_LATE: f64 = 5.0;
/// The goal for the 99th percentile of responses in milliseconds.
const WANTED_ANSWER: f64 = 100.0;
/// The goals of a run without changes: transactions, and milliseconds of PostgreSQL's CPU time.
const WANTED_COMMITS: f64 = 6.0;
const WANTED_POSTGRES: f64 = 1.5;
/// The goal for the share of scheduled runs.
const WANTED_RUNS: f64 = 0.99;

/// CPU time in seconds, in total or between two times.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CpuTimes {
    pub(crate) workers: f64,
    pub(crate) servers: f64,
    pub(crate) postgres: f64,
    pub(crate) simulator: f64,
}

/// Percentiles of measured values.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// The cost of a run without changes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// Transactions of PostgreSQL, including read-only ones.
    pub(crate) commits: f64,
    /// Milliseconds of CPU time of all PostgreSQL processes.
    pub(crate) postgres: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) connections: u32,
    pub(crate) minutes: u32,
    /// Seconds until all backfills ended.
    pub(crate) first: f64,
    pub(crate) runs: u64,
    pub(crate) per_second: f64,
    /// Seconds from the due time to the start.
    pub(crate) late: Percentiles,
    /// Durations of runs in seconds.
    pub(crate) took: Percentiles,
    pub(crate) cost: Cost,
    pub(crate) failed: u64,
    pub(crate) resumed: u64,
    pub(crate) overlapping: u64,
    /// Connections with fewer runs than `minutes - 1`.
    pub(crate) short: u64,
    pub(crate) used: CpuTimes,
    pub(crate) worker_memory: u64,
    /// Warnings and errors in the processes' logs.
    pub(crate) complaints: u64,
    pub(crate) answers: u64,
    pub(crate) unanswered: u64,
    /// Formats milliseconds.
    pub(crate) answer: Percentiles,
}

/// A run, from its row and the previous run's row.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) sync: u64,
    /// When the sync was created, which determines its due times.
    pub(crate) made: Timestamp,
    pub(crate) started: Timestamp,
    /// When the previous run ended.
    pub(crate) before: Timestamp,
    pub(crate) finished: Timestamp,
}

impl Run {
    pub(crate) fn parse(line: &str) -> anyhow::Result<Self> {
        let numbers: Vec<i64> = line.split('|').map(str::parse).collect::<Result<_, _>>()?;
        let [sync, made, started, before, finished] = numbers
            .try_into()
            .map_err(|_| anyhow::anyhow!("a run is told as {line:?}"))?;
        Ok(Self {
            sync: sync.unsigned_abs(),
            made: Timestamp::from_micros(made),
            started: Timestamp::from_micros(started),
            before: Timestamp::from_micros(before),
            finished: Timestamp::from_micros(finished),
        })
    }

    /// Returns the seconds from the due time to the start. The scheduler set the due time at the end of the previous run: the next
    /// tick. A run that starts before it was due at once (the continuation of a long run, or a retry).
    pub(crate) fn late(&self, schedule: &registry::Schedule) -> f64 {
        let tick = schedule.next(self.before, self.made);
        let due = schedule.jittered(tick, self.sync);
        let due = if due <= self.started { due } else { self.before };
        span(self.started, due)
    }
}

impl CpuTimes {
    pub(crate) fn until(self, after: Self) -> Self {
        Self {
            workers: after.workers - self.workers,
            servers: after.servers - self.servers,
            postgres: after.postgres - self.postgres,
            simulator: after.simulator - self.simulator,
        }
    }
}

impl Percentiles {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let within = |hundredths: usize| {
            let place = (values.len() * hundredths / 100).min(values.len().saturating_sub(1));
            values.get(place).copied().unwrap_or_default()
        };
        Self {
            p50: within(50),
            p95: within(95),
            p99: within(99),
            max: within(100),
        }
    }

    fn format(&self, unit: fn(f64) -> String) -> String {
        let [p50, p95, p99, max] = [self.p50, self.p95, self.p99, self.max].map(unit);
        format!("p50 {p50}, p95 {p95}, p99 {p99}, max {max}")
    }
}

/// Returns the seconds from `earlier` to `later`, or 0 if `later` is before `earlier`.
pub(crate) fn span(later: Timestamp, earlier: Timestamp) -> f64 {
    later.since(earlier).as_secs_f64()
}

pub(crate) fn add_to(report: &mut Report, measured: &Measured) {
    let asked = f64::from(measured.connections) / 60.0;
    let title = format!(
        "{} connections with a sync {EVERY}, {} minutes",
        count(u64::from(measured.connections)),
        measured.minutes
    );
    let mut table = Table::new(title, &["what", "measured"]);
    let length = 60.0 * f64::from(measured.minutes);
    let used = |seconds: f64| format!("{seconds:.1} s, {:.2} cores", seconds / length);
    for (what, told) in [
        ("all backfills ended after", seconds(measured.first)),
        ("runs started", count(measured.runs)),
        (
            "runs a second",
            format!("{:.1} of {asked:.1}", measured.per_second),
        ),
        ("delay after the due time", measured.late.format(seconds)),
        ("duration of a run", measured.took.format(seconds)),
        (
            "a run alone: transactions of PostgreSQL",
            format!("{:.1}", measured.cost.commits),
        ),
        (
            "a run alone: CPU time of PostgreSQL",
            milliseconds(measured.cost.postgres),
        ),
        ("failed runs", count(measured.failed)),
        ("runs taken over from another worker", count(measured.resumed)),
        ("overlapping runs of one sync", count(measured.overlapping)),
        ("connections that missed a run", count(measured.short)),
        ("CPU time: workers", used(measured.used.workers)),
        ("CPU time: servers", used(measured.used.servers)),
        ("CPU time: PostgreSQL", used(measured.used.postgres)),
        ("CPU time: simulator", used(measured.used.simulator)),
        ("memory of all workers", megabytes(measured.worker_memory)),
        ("warnings and errors in the logs", count(measured.complaints)),
        ("GET /connections: responses", count(measured.answers)),
        (
            "GET /connections: requests without a response",
            count(measured.unanswered),
        ),
        ("GET /connections: latency", measured.answer.format(milliseconds)),
    ] {
        table.row([what.to_owned(), told]);
    }
    report.table(table);
    for (what, number) in [
        ("overlapping runs of one sync", measured.overlapping),
        ("connections that missed a run", measured.short),
        ("failed runs", measured.failed),
        ("requests without a response", measured.unanswered),
    ] {
        report.goal(Goal::below(what.to_owned(), 1.0, float(number)));
    }
    let share = measured.per_second / asked;
    report.goal(Goal::least(
        "runs a second, share of the scheduled runs".to_owned(),
        WANTED_RUNS,
        share,
    ));
    let commits = "PostgreSQL transactions per run".to_owned();
    report.goal(Goal::below(commits, WANTED_COMMITS, measured.cost.commits));
    let postgres = "ms of PostgreSQL CPU time per run".to_owned();
    report.goal(Goal::below(postgres, WANTED_POSTGRES, measured.cost.postgres));
    let late = "p99 in s of the delay after the due time".to_owned();
    report.goal(Goal::below(late, WANTED_LATE, measured.late.p99));
    let answer = "p99 in ms of GET /connections at the same time".to_owned();
    report.goal(Goal::below(answer, WANTED_ANSWER, measured.answer.p99));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_of_a_run_counts_from_its_tick() {
        let schedule = registry::Schedule::parse_every(EVERY).unwrap();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let due = schedule.jittered(at(60), 7);
        let run = |started: Timestamp| Run {
            sync: 7,
            made: at(0),
            started,
            before: at(10),
            finished: started,
        };

        assert!((run(due.plus(2 * Timestamp::SECOND)).late(&schedule) - 2.0).abs() < 1e-6);
        // It starts before its tick, so it was due when the previous run ended.
        assert!((run(at(12)).late(&schedule) - 2.0).abs() < 1e-6);
    }
}
