//! Asks for a confirmation.

use dialoguer::Confirm;

use crate::exit::UsageError;
use crate::terminal;

/// Asks `question`, unless `yes` answers it.
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
