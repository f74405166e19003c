//! What processes have used: processor time in seconds, and memory, as the kernel tells it.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Fields of `/proc/PID/stat` behind the name in brackets, counted from 0: see proc_pid_stat(5).
const PARENT: usize = 1;
const USER: usize = 11;
const SYSTEM: usize = 12;
const CHILDREN_USER: usize = 13;
const CHILDREN_SYSTEM: usize = 14;
/// The unit of those times in seconds, which the kernel keeps for programs whatever its own is.
const TICK: f64 = 0.01;

/// Processor time of this process, all its threads together.
pub(crate) fn own() -> f64 {
    seconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// Processor time of this thread.
pub(crate) fn thread() -> f64 {
    seconds(clock_gettime(ClockId::ThreadCPUTime))
}

fn seconds(time: Timespec) -> f64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds).as_secs_f64() + Duration::from_nanos(nanoseconds).as_secs_f64()
}

/// Processor time of another process, without its children.
pub(crate) fn of(pid: u32) -> anyhow::Result<f64> {
    Ok(ticks(&stat(pid)?, &[USER, SYSTEM]))
}

/// Processor time of this process's children that have ended and been waited for.
pub(crate) fn of_ended_children() -> anyhow::Result<f64> {
    Ok(ticks(
        &stat(std::process::id())?,
        &[CHILDREN_USER, CHILDREN_SYSTEM],
    ))
}

/// Processor time of a process and its children, those that have ended included.
pub(crate) fn of_family(pid: u32) -> anyhow::Result<f64> {
    let own = ticks(&stat(pid)?, &[USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM]);
    let children = children(pid)?;
    let children = children.iter().map(|(_, stat)| ticks(stat, &[USER, SYSTEM]));
    Ok(own + children.sum::<f64>())
}

/// A process's children that run, with their numbers of `/proc/PID/stat`.
fn children(pid: u32) -> anyhow::Result<Vec<(u32, Vec<i64>)>> {
    let entries = fs::read_dir("/proc").context("reading /proc")?.flatten();
    let others = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process may have ended since the folder was read.
    let stats = others.filter_map(|other| Some((other, stat(other).ok()?)));
    Ok(stats
        .filter(|(_, stat)| stat.get(PARENT) == Some(&i64::from(pid)))
        .collect())
}

/// The memory that a process and its children have resident now, in bytes; of what several processes share, each one's part.
pub(crate) fn memory_of_family(pid: u32) -> anyhow::Result<u64> {
    let children = children(pid)?;
    let pids = std::iter::once(pid).chain(children.iter().map(|(child, _)| *child));
    pids.map(|pid| kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:"))
        .sum()
}

/// The numbers of `/proc/PID/stat` behind the name; the state, which is a letter, as 0.
fn stat(pid: u32) -> anyhow::Result<Vec<i64>> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let (_, rest) = text
        .rsplit_once(')')
        .with_context(|| format!("{path} has no name"))?;
    Ok(rest
        .split_ascii_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect())
}

fn ticks(stat: &[i64], fields: &[usize]) -> f64 {
    let sum: i64 = fields.iter().filter_map(|field| stat.get(*field)).sum();
    TICK * u32::try_from(sum).map_or(0.0, f64::from)
}

/// The most memory that this process ever had resident, mapped files included, in bytes.
pub(crate) fn peak_memory() -> anyhow::Result<u64> {
    status("VmHWM:")
}

/// The memory that this process has resident now and that no file stands behind, in bytes.
pub(crate) fn anonymous_memory() -> anyhow::Result<u64> {
    status("RssAnon:")
}

fn status(field: &str) -> anyhow::Result<u64> {
    kilobytes("/proc/self/status", field)
}

/// What a file of the kernel tells in kB, in bytes.
fn kilobytes(file: &str, field: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("{file} tells no {field}"))? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_processor_time_and_memory() {
        let (before, start) = (own(), thread());
        let mut number = 1_u64;
        while thread() - start < 3.0 * TICK {
            number = std::hint::black_box(number.wrapping_mul(31));
        }

        assert!(own() - before >= 2.0 * TICK);
        assert!(of(std::process::id()).unwrap() >= 2.0 * TICK);
        assert!(of_family(std::process::id()).unwrap() >= 2.0 * TICK);
        assert!(memory_of_family(std::process::id()).unwrap() > 0);
        assert!(peak_memory().unwrap() >= anonymous_memory().unwrap());
    }
}
