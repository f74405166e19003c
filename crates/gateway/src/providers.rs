//! Providers: the services that an integration can connect to.

use std::sync::Arc;

use registry::{Provider, Registry};

use crate::error::{FieldError, GatewayError};
use crate::services::Services;

/// The use cases of providers, which are the same for every environment.
pub struct Providers<'a>(pub(crate) &'a Services);

/// The largest compiled search, in bytes: enough for any name, and too little to slow others down.
const MAX_SEARCH: usize = 1 << 16;

impl<'a> Providers<'a> {
    /// All provider files.
    pub fn registry(&self) -> &'a Registry {
        &self.0.registry
    }

    /// All providers by name; with `search`, those in whose name this regular expression matches, in any case.
    pub fn list(&self, search: Option<&str>) -> Result<Vec<Arc<Provider>>, GatewayError> {
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
        Ok(self.0.registry.iter().filter(wanted).cloned().collect())
    }

    /// The provider of that name.
    pub fn find(&self, name: &str) -> Result<Arc<Provider>, GatewayError> {
        let found = self.0.registry.get(name).cloned();
        found.ok_or_else(|| GatewayError::UnknownProvider(name.to_owned()))
    }
}
