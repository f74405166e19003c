//! CPU time in seconds and memory of processes, as reported by the kernel.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Fields of `/proc/PID/stat` after the name in brackets, from 0: see proc_pid_stat(5).
const PARENT: usize = 1;
const USER: usize = 11;
const SYSTEM: usize = 12;
const CHILDREN_USER: usize = 13;
const CHILDREN_SYSTEM: usize = 14;
/// The unit of these times in seconds, which is the same for all programs.
const TICK: f64 = 0.01;

/// Returns the CPU time of all threads of this process.
pub(crate) fn own() -> f64 {
    seconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// Returns the CPU time of this thread.
pub(crate) fn thread() -> f64 {
    seconds(clock_gettime(ClockId::ThreadCPUTime))
}

fn seconds(time: Timespec) -> f64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds).as_secs_f64() + Duration::from_nanos(nanoseconds).as_secs_f64()
}

/// Returns the CPU time of another process, without its children.
pub(crate) fn of(pid: u32) -> anyhow::Result<f64> {
    Ok(ticks(&stat(pid)?, &[USER, SYSTEM]))
}

/// Returns the CPU time of this process's children that have exited and been waited for.
pub(crate) fn of_ended_children() -> anyhow::Result<f64> {
    Ok(ticks(
        &stat(std::process::id())?,
        &[CHILDREN_USER, CHILDREN_SYSTEM],
    ))
}

/// Returns the CPU time of a process and its children, including exited ones.
pub(crate) fn of_family(pid: u32) -> anyhow::Result<f64> {
    let own = ticks(&stat(pid)?, &[USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM]);
    let children = children(pid)?;
    let children = children.iter().map(|(_, stat)| ticks(stat, &[USER, SYSTEM]));
    Ok(own + children.sum::<f64>())
}

/// Returns the running children of a process, with their fields of `/proc/PID/stat`.
fn children(pid: u32) -> anyhow::Result<Vec<(u32, Vec<i64>)>> {
    let entries = fs::read_dir("/proc").context("cannot read /proc")?.flatten();
    let others = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process may have exited after the folder was read.
    let stats = others.filter_map(|other| Some((other, stat(other).ok()?)));
    Ok(stats
        .filter(|(_, stat)| stat.get(PARENT) == Some(&i64::from(pid)))
        .collect())
}

/// Returns the current resident memory of a process and its children in bytes, with their share of shared memory (`Pss`).
pub(crate) fn memory_of_family(pid: u32) -> anyhow::Result<u64> {
    let children = children(pid)?;
    let pids = std::iter::once(pid).chain(children.iter().map(|(child, _)| *child));
    pids.map(|pid| kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:"))
        .sum()
}

/// Returns the fields of `/proc/PID/stat` after the name as numbers. The state, a letter, is 0.
fn stat(pid: u32) -> anyhow::Result<Vec<i64>> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
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

/// Returns the peak resident memory of this process in bytes, including mapped files.
pub(crate) fn peak_memory() -> anyhow::Result<u64> {
    status("VmHWM:")
}

/// Returns the current resident memory of this process in bytes, without mapped files.
pub(crate) fn anonymous_memory() -> anyhow::Result<u64> {
    status("RssAnon:")
}

fn status(field: &str) -> anyhow::Result<u64> {
    kilobytes("/proc/self/status", field)
}

/// Returns a kB field of a kernel file in bytes.
fn kilobytes(file: &str, field: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("{file} has no {field}"))? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_uses_cpu_time_and_memory() {
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
