//! Asks for a confirmation.

use dialoguer::Confirm;

use crate::usage::UsageError;
use crate::{exit, terminal};

/// Asks the user `question`, unless `yes` answers it. Any other answer ends the command with exit status 1.
pub(super) fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !terminal::can_ask() {
        let text = format!("{question}\n  There is no terminal to ask on: confirm with --yes.");
        return Err(UsageError(text).into());
    }
    exit::require(Confirm::new().with_prompt(question).default(false).interact()?)
}
