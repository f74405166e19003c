//! Ctrl-C in a command that ends by itself: restores the terminal and ends the process.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

/// The exit status after Ctrl-C: 128 plus the number of the signal, as in shells.
pub(crate) const INTERRUPTED: u8 = 130;
/// Makes the cursor visible, which a prompt or a progress bar may have hidden.
const SHOW_CURSOR: &str = "\x1b[?25h";

/// The terminal's settings when the command started.
static BEFORE: OnceLock<Termios> = OnceLock::new();

/// From now on, Ctrl-C restores the terminal and ends the process with status 130.
pub(crate) fn guard() -> io::Result<()> {
    if let Ok(before) = tcgetattr(io::stdin()) {
        drop(BEFORE.set(before));
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        interrupt.recv().await;
        restore();
        std::process::exit(INTERRUPTED.into());
    });
    Ok(())
}

/// Shows the cursor, and turns echo on again if a prompt for a secret turned it off.
pub(crate) fn restore() {
    if let Some(before) = BEFORE.get() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
    if io::stderr().is_terminal() {
        drop(writeln!(io::stderr().lock(), "{SHOW_CURSOR}"));
    }
}

/// Whether an error says that a signal interrupted a prompt.
pub(crate) fn is_interruption(error: &(dyn Error + 'static)) -> bool {
    // The error of a prompt has no `source`.
    let prompt = error.downcast_ref::<dialoguer::Error>();
    let io = prompt.map(|dialoguer::Error::IO(error)| error);
    io.or_else(|| error.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::Interrupted)
}
