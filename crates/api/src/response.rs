//! Response bodies that several resources share.

use serde::Serialize;
use utoipa::ToSchema;

/// The operation succeeded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Success {
    success: bool,
}

impl Success {
    pub(crate) fn new() -> Self {
        Self { success: true }
    }
}
