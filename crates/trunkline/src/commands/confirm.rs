//! Asks for a confirmation.

use dialoguer::Confirm;

use crate::exit::UsageError;
use crate::terminal;

/// Asks the user `question`. Returns true without asking if `yes` is set.
pub(super) fn confirm(yes: bool, question: &str) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !terminal::can_ask() {
        let text = format!("{question}\n  There is no terminal to ask on: confirm with --yes.");
        return Err(UsageError(text).into());
    }
    Ok(Confirm::new().with_prompt(question).default(false).interact()?)
}
