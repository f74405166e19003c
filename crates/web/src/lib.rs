//! The web pages for end users: server-rendered, over the same use cases as the API.
//!
//! Only the binary and tests depend on this crate. A handler reads the request, calls the gateway, and renders a template. Every page works
//! without JavaScript; scripts of our own make it quicker. Three things always hold: a page requests nothing from another host and has no
//! inline script or style; a value that a person or a provider wrote is escaped; a secret that was typed is never sent back.

mod assets;
mod brand;
mod connect;
mod language;
mod options;
mod pages;
mod policy;
mod shared;
mod texts;

pub use brand::{Brand, BrandError, Color};
pub use options::WebOptions;
pub use pages::{WebError, WebPages};
