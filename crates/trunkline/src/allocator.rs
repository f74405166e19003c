//! The memory allocator, and how it is told to give memory back.
//!
//! mimalloc keeps freed memory for a second before it gives it back to the system, and asks for transparent huge pages. Both
//! suit programs that use as much memory as they can. Here pages of a sync come and go all the
//! time: with these settings freed memory goes back to the system at once, so that the peak of a first load does not stay.
//!
//! mimalloc reads its settings from the environment when the process starts, before any code of ours, and its functions that
//! change them later are unsafe to call. So a process that lacks them starts itself once more in its own place: it keeps its
//! process id, its open files and its arguments.

/// Requests come and go on several threads for years; the C library's allocator takes longer for it and gives less back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the allocator's documentation calls `purge_delay` (in milliseconds) and `allow_thp`.
const SETTINGS: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ALLOW_THP", "0")];

/// Starts the process again in its own place, unless the environment has all settings. A setting that the operator gave stays.
/// If that does not work, the process goes on as it is: it only needs more memory.
pub(crate) fn apply_settings() {
    let missing: Vec<_> = SETTINGS
        .into_iter()
        .filter(|(name, _)| std::env::var_os(name).is_none())
        .collect();
    if !missing.is_empty() {
        start_again(&missing);
    }
}

#[cfg(unix)]
fn start_again(settings: &[(&str, &str)]) {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // Returns only if it fails.
    drop(command.args(arguments).envs(settings.iter().copied()).exec());
}

#[cfg(not(unix))]
fn start_again(_: &[(&str, &str)]) {}
