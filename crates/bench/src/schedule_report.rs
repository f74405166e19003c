//! Figures of very many syncs: how late runs began, what they and the processes took, and what is to be reached.

use std::time::Duration;

use domain::Timestamp;
use serde::Serialize;

use crate::report::{Bar, Report, Table, count, float, megabytes, milliseconds, seconds};

/// How often each sync runs.
pub(crate) const EVERY: &str = "every minute";

/// Below so many seconds 99 of 100 runs are to begin.
const WANTED_LATE: f64 = 5.0;
/// Below so many milliseconds 99 of 100 answers are to come.
const WANTED_ANSWER: f64 = 100.0;
/// A run that finds nothing changed is to take no more transactions than this, and milliseconds of PostgreSQL's processor time.
const WANTED_COMMITS: f64 = 6.0;
const WANTED_POSTGRES: f64 = 1.5;
/// Of the runs that the schedule asks for, at least so many.
const WANTED_RUNS: f64 = 0.99;

/// Processor time in seconds, used so far or in between.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Used {
    pub(crate) workers: f64,
    pub(crate) servers: f64,
    pub(crate) postgres: f64,
    pub(crate) simulator: f64,
}

/// Values of which few are told.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// What a run costs that finds nothing changed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// Transactions of PostgreSQL, those that only read included.
    pub(crate) commits: f64,
    /// Milliseconds of processor time of all of PostgreSQL's processes.
    pub(crate) postgres: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) connections: u32,
    pub(crate) minutes: u32,
    /// Seconds until all connections were read for the first time.
    pub(crate) first: f64,
    pub(crate) runs: u64,
    pub(crate) per_second: f64,
    /// Seconds from the due time to the start.
    pub(crate) late: Spread,
    /// Seconds that a run took.
    pub(crate) took: Spread,
    pub(crate) cost: Cost,
    pub(crate) failed: u64,
    pub(crate) resumed: u64,
    pub(crate) overlapping: u64,
    /// Connections with fewer runs than minutes less one.
    pub(crate) short: u64,
    pub(crate) used: Used,
    pub(crate) worker_memory: u64,
    /// Lines of the processes' logs that warn or tell an error.
    pub(crate) complaints: u64,
    pub(crate) answers: u64,
    pub(crate) unanswered: u64,
    /// Milliseconds.
    pub(crate) answer: Spread,
}

/// A run as it is told by its row and that of the run before it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) sync: u64,
    /// When the sync was made, from which its ticks count.
    pub(crate) made: Timestamp,
    pub(crate) started: Timestamp,
    /// When the run before it ended.
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

    /// Seconds from the due time to the start. The due time is what the scheduler set at the end of the run before: the next tick.
    /// Who starts sooner was due at once (a run that had to be cut in two, or one that is tried again).
    pub(crate) fn late(&self, schedule: &registry::Schedule) -> f64 {
        let tick = schedule.next(self.before, self.made);
        let due = schedule.jittered(tick, self.sync);
        let due = if due <= self.started { due } else { self.before };
        span(self.started, due)
    }
}

impl Used {
    pub(crate) fn until(self, after: Self) -> Self {
        Self {
            workers: after.workers - self.workers,
            servers: after.servers - self.servers,
            postgres: after.postgres - self.postgres,
            simulator: after.simulator - self.simulator,
        }
    }
}

impl Spread {
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

    fn tell(&self, unit: fn(f64) -> String) -> String {
        let [p50, p95, p99, max] = [self.p50, self.p95, self.p99, self.max].map(unit);
        format!("p50 {p50}, p95 {p95}, p99 {p99}, max {max}")
    }
}

/// Seconds from `earlier` to `later`; 0 if it is the other way round.
pub(crate) fn span(later: Timestamp, earlier: Timestamp) -> f64 {
    later.since(earlier).as_secs_f64()
}

pub(crate) fn tell(report: &mut Report, measured: &Measured) {
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
        ("all read for the first time after", seconds(measured.first)),
        ("runs begun", count(measured.runs)),
        (
            "runs a second",
            format!("{:.1} of {asked:.1}", measured.per_second),
        ),
        ("begun after the due time", measured.late.tell(seconds)),
        ("a run took", measured.took.tell(seconds)),
        (
            "a run alone: transactions of PostgreSQL",
            format!("{:.1}", measured.cost.commits),
        ),
        (
            "a run alone: processor time of PostgreSQL",
            milliseconds(measured.cost.postgres),
        ),
        ("runs that failed", count(measured.failed)),
        ("runs taken over from another worker", count(measured.resumed)),
        (
            "runs beside another of the same sync",
            count(measured.overlapping),
        ),
        (
            "connections with fewer runs than minutes less one",
            count(measured.short),
        ),
        ("processor time: workers", used(measured.used.workers)),
        ("processor time: servers", used(measured.used.servers)),
        ("processor time: PostgreSQL", used(measured.used.postgres)),
        ("processor time: simulator", used(measured.used.simulator)),
        (
            "memory of the workers together",
            megabytes(measured.worker_memory),
        ),
        ("warnings and errors in the logs", count(measured.complaints)),
        ("GET /connections: answers", count(measured.answers)),
        (
            "GET /connections: questions without an answer",
            count(measured.unanswered),
        ),
        (
            "GET /connections: answered within",
            measured.answer.tell(milliseconds),
        ),
    ] {
        table.row([what.to_owned(), told]);
    }
    report.table(table);
    for (what, number) in [
        ("runs beside another of the same sync", measured.overlapping),
        (
            "connections with fewer runs than minutes less one",
            measured.short,
        ),
        ("runs that failed", measured.failed),
        ("questions without an answer", measured.unanswered),
    ] {
        report.bar(Bar::below(what.to_owned(), 1.0, float(number)));
    }
    let share = measured.per_second / asked;
    report.bar(Bar::least(
        "runs a second, to those asked for".to_owned(),
        WANTED_RUNS,
        share,
    ));
    let commits = "transactions of PostgreSQL a run".to_owned();
    report.bar(Bar::below(commits, WANTED_COMMITS, measured.cost.commits));
    let postgres = "ms of PostgreSQL a run".to_owned();
    report.bar(Bar::below(postgres, WANTED_POSTGRES, measured.cost.postgres));
    let late = "p99 in s of the start after the due time".to_owned();
    report.bar(Bar::below(late, WANTED_LATE, measured.late.p99));
    let answer = "p99 in ms of GET /connections meanwhile".to_owned();
    report.bar(Bar::below(answer, WANTED_ANSWER, measured.answer.p99));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_late_by_the_time_since_its_tick() {
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
        // Before its tick: it was due when the run before it ended.
        assert!((run(at(12)).late(&schedule) - 2.0).abs() < 1e-6);
    }
}
