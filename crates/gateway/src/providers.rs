//! Providers: the services that an integration can connect to.

use std::sync::Arc;

use registry::Provider;

use crate::error::{FieldError, GatewayError, Result};
use crate::gateway::Gateway;

/// The size limit of a compiled search, in bytes. Any name fits, and no search slows down other requests.
const MAX_SEARCH: usize = 1 << 16;

/// Returns the providers, ordered by name. `search` is a regular expression that their names must match, ignoring case.
pub fn list(gateway: &Gateway, search: Option<&str>) -> Result<Vec<Arc<Provider>>> {
    let search = search.map(|search| {
        regex::RegexBuilder::new(search)
            .case_insensitive(true)
            .size_limit(MAX_SEARCH)
            .build()
    });
    let search = search.transpose().map_err(|error| {
        let message = match error {
            regex::Error::CompiledTooBig(_) => "is too large a regular expression",
            _ => "is not a regular expression",
        };
        GatewayError::InvalidQuery(vec![FieldError::at("invalid", "search", message)])
    })?;
    let wanted = |provider: &&Arc<Provider>| {
        search
            .as_ref()
            .is_none_or(|search| search.is_match(provider.name.as_str()))
    };
    Ok(gateway.registry.iter().filter(wanted).cloned().collect())
}

/// Returns the provider of that name.
pub fn find(gateway: &Gateway, name: &str) -> Result<Arc<Provider>> {
    gateway.registry.get(name).cloned().ok_or_else(|| {
        GatewayError::NotFound(format!(
            "unknown provider {name:?}: GET /providers lists all providers"
        ))
    })
}
