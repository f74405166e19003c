//! What the handlers share.

use crate::brand::Brand;
use crate::texts::AllTexts;

/// What all handlers share.
pub(crate) struct Shared {
    pub(crate) brand: Brand,
    pub(crate) frame_ancestors: Vec<String>,
    pub(crate) texts: AllTexts,
    /// The prefix of every link: the path of the public URL, usually empty.
    pub(crate) base: String,
    /// The version of the files in `assets`.
    pub(crate) version: String,
}
