//! The terminal: styles, progress bars, width, and whether the user can be asked.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use crate::config::Environment;

/// The width of a terminal that does not know its own.
const USUAL_WIDTH: usize = 80;
/// Narrower terminals are treated as if they had this width.
const LEAST_WIDTH: usize = 20;

/// What environment variables say about terminals.
#[derive(Debug, Default)]
struct Preferences {
    /// `NO_COLOR` is set: see <https://no-color.org>.
    no_color: bool,
    /// `TERM=dumb`: the terminal can show plain text only.
    dumb: bool,
}

static PREFERENCES: OnceLock<Preferences> = OnceLock::new();

/// Reads the environment variables. Call it once, before anything is written.
pub(crate) fn start(environment: &Environment) {
    let preferences = Preferences {
        no_color: environment.get("NO_COLOR").is_some(),
        dumb: environment.get("TERM") == Some("dumb"),
    };
    // A second call changes nothing: the variables are the same.
    drop(PREFERENCES.set(preferences));
}

fn preferences() -> &'static Preferences {
    PREFERENCES.get_or_init(Preferences::default)
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output may have bold text.
pub(crate) fn styles() -> bool {
    is_terminal() && !preferences().no_color && !preferences().dumb
}

/// Whether standard error may have colours.
pub(crate) fn error_styles() -> bool {
    io::stderr().is_terminal() && !preferences().no_color && !preferences().dumb
}

/// Whether standard error can show a progress bar.
pub(crate) fn can_show_progress() -> bool {
    io::stderr().is_terminal() && !preferences().dumb
}

/// Whether the user can be asked: questions go to standard error, and input comes from standard input.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Returns the columns of the terminal on standard output; `None` for a pipe or a file.
pub(crate) fn width() -> Option<usize> {
    width_of(io::stdout())
}

/// The same for standard error.
pub(crate) fn error_width() -> Option<usize> {
    width_of(io::stderr())
}

fn width_of(stream: impl IsTerminal + AsFd) -> Option<usize> {
    stream.is_terminal().then(|| {
        terminal_size::terminal_size_of(stream)
            .map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
            .max(LEAST_WIDTH)
    })
}
