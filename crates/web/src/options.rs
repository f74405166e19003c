//! How the pages are configured.

use crate::brand::Brand;

/// How the pages are served.
#[derive(Debug, Default)]
pub struct WebOptions {
    /// Name, logo and colour of the app, which the connect page shows.
    pub brand: Brand,
    /// The origins that may embed the connect page, such as `https://app.example.com`. Without any, no page can.
    pub frame_ancestors: Vec<String>,
}
