//! What this process may show: styles, moving progress, and how wide a line is.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use crate::config::Environment;

/// The width where a terminal does not tell its own.
const USUAL_WIDTH: usize = 80;
/// Narrower terminals are treated as if they had this width.
const LEAST_WIDTH: usize = 20;

/// What the variables of the process say about terminals.
#[derive(Debug, Default)]
struct Wishes {
    /// `NO_COLOR` is set: see <https://no-color.org>.
    no_color: bool,
    /// `TERM=dumb`: the terminal shows text and nothing else.
    dumb: bool,
}

static WISHES: OnceLock<Wishes> = OnceLock::new();

/// Takes what the variables say. Call it once, before anything is written.
pub(crate) fn start(environment: &Environment) {
    let wishes = Wishes {
        no_color: environment.get("NO_COLOR").is_some(),
        dumb: environment.get("TERM") == Some("dumb"),
    };
    // A second start changes nothing: the variables are the same.
    drop(WISHES.set(wishes));
}

fn wishes() -> &'static Wishes {
    WISHES.get_or_init(Wishes::default)
}

/// Whether a person looks at standard output.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output may have bold text.
pub(crate) fn styles() -> bool {
    is_terminal() && !wishes().no_color && !wishes().dumb
}

/// Whether standard error may have colours.
pub(crate) fn error_styles() -> bool {
    io::stderr().is_terminal() && !wishes().no_color && !wishes().dumb
}

/// Whether standard error can show text that moves, such as a progress bar.
pub(crate) fn moves() -> bool {
    io::stderr().is_terminal() && !wishes().dumb
}

/// Whether a person can be asked: questions go to standard error and answers come from standard input.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The columns of the terminal that shows standard output; `None` if that is a pipe or a file.
pub(crate) fn width() -> Option<usize> {
    width_of(io::stdout())
}

/// The same of standard error.
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
