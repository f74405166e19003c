//! The memory allocator, with settings that return memory to the system.
//!
//! By default, mimalloc keeps freed memory for a second and asks for transparent huge pages. Both suit programs that use as much memory as
//! they can. A sync allocates and frees pages all the time: with these settings, freed memory returns to the system immediately, so that
//! the peak of a backfill does not last.
//!
//! mimalloc reads its settings from the environment when the process starts, before any code of ours, and its functions that change them
//! later are unsafe to call. So a process without these variables replaces itself by a new one with them (`exec`). It keeps its process id,
//! open files and arguments.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// For a process that runs for years on several threads, the C library's allocator is slower and returns less memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The options `purge_delay` (in milliseconds) and `allow_thp` of mimalloc's documentation.
const SETTINGS: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ALLOW_THP", "0")];

/// Replaces the process by one with these settings, unless the environment has them all. Values that the operator set stay. If that
/// fails, the process continues without: it only needs more memory.
pub(crate) fn apply_settings() {
    let missing: Vec<_> = SETTINGS
        .into_iter()
        .filter(|(name, _)| std::env::var_os(name).is_none())
        .collect();
    if !missing.is_empty() {
        start_again(&missing);
    }
}

fn start_again(settings: &[(&str, &str)]) {
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
