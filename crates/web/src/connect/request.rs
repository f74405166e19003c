//! What a request to the connect page carries from page to page: the token, the language, and how the page is embedded.

use actix_web::HttpRequest;
use url::form_urlencoded;

use crate::language::Language;
use crate::shared::Shared;
use crate::texts::Texts;

/// The parameter with the token of the session.
const TOKEN: &str = "session_token";
/// The parameter with the key of an integration.
pub(super) const INTEGRATION: &str = "integration";
/// The parameter with the number of a form.
pub(super) const FORM: &str = "form";
/// The parameter with a text to search for.
pub(super) const SEARCH: &str = "search";
/// The parameter with the key of an integration that was connected just now.
pub(super) const CONNECTED: &str = "connected";
/// The beginning of the names of a form's fields.
pub(super) const FIELD: &str = "field.";
/// The parameter that the page's script sends with a form.
const SCRIPTED: &str = "scripted";
/// The parameter with the key of an integration, if the page shows no other.
pub(super) const ONLY: &str = "only";
/// The parameters that links and forms pass on.
const PASSED_ON: [&str; 5] = [TOKEN, ONLY, "lang", "theme", "display"];

type Pairs = Vec<(String, String)>;

/// A request to the connect page.
pub(super) struct PageRequest<'a> {
    pub(super) shared: &'a Shared,
    pub(super) texts: &'a Texts,
    pub(super) language: Language,
    pairs: Pairs,
    is_submitted: bool,
}

impl<'a> PageRequest<'a> {
    /// Reads the parameters of a query or of a submitted form.
    pub(super) fn new(
        shared: &'a Shared,
        request: &HttpRequest,
        parameters: &[u8],
        is_submitted: bool,
    ) -> Self {
        let pairs: Pairs = form_urlencoded::parse(parameters)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let language = Language::choose(find(&pairs, "lang"), request);
        Self {
            shared,
            texts: shared.texts.of(language),
            language,
            pairs,
            is_submitted,
        }
    }

    /// Returns a parameter that is not blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        find(&self.pairs, name).filter(|value| !value.trim().is_empty())
    }

    /// Returns the token of the session.
    pub(super) fn token(&self) -> Option<&str> {
        self.get(TOKEN)
    }

    /// Returns the parameters whose names begin with `prefix`, without it.
    pub(super) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.pairs.iter();
        pairs.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// Returns what was typed into a field of the form. A link cannot fill in a form.
    pub(super) fn typed(&self, field: &str) -> Option<&str> {
        self.get(&format!("{FIELD}{field}")).filter(|_| self.is_submitted)
    }

    /// Returns the number of the form.
    pub(super) fn form(&self) -> usize {
        self.get(FORM).and_then(|form| form.parse().ok()).unwrap_or(0)
    }

    /// Whether the page's script sent the request and shows the response in place.
    pub(super) fn is_scripted(&self) -> bool {
        self.get(SCRIPTED).is_some()
    }

    /// Returns the colour scheme that the embedding page wants.
    pub(super) fn theme(&self) -> Option<&'static str> {
        let wanted = self.get("theme")?;
        ["light", "dark"].into_iter().find(|theme| *theme == wanted)
    }

    /// Returns how another page shows this one: as a part of it, or in front of it. `None` if none does, as far as the request tells.
    pub(super) fn display(&self) -> Option<&'static str> {
        match self.get("display") {
            Some("inline") => Some("inline"),
            // Nango's front-end library sends it.
            _ if self.get("apiURL").is_some() => Some("overlay"),
            _ => None,
        }
    }

    /// Returns the parameters that a form passes on.
    pub(super) fn passed_on(&self) -> Vec<(&'static str, String)> {
        let passed = PASSED_ON.into_iter();
        passed
            .filter_map(|name| Some((name, self.get(name)?.to_owned())))
            .collect()
    }

    /// Returns the address of the page with these parameters and those that are passed on.
    pub(super) fn link(&self, parameters: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.passed_on());
        query.extend_pairs(parameters);
        format!("{}?{}", self.action(), query.finish())
    }

    /// Returns the address of the page, to which forms are sent.
    pub(super) fn action(&self) -> String {
        format!("{}/connect", self.shared.base)
    }

    /// Returns the address of a file.
    pub(super) fn asset(&self, name: &str) -> String {
        format!("{}/assets/{name}?v={}", self.shared.base, self.shared.version)
    }

    /// Returns the address of a provider's logo.
    pub(super) fn logo(&self, provider: &str) -> String {
        format!("{}/images/template-logos/{provider}.svg", self.shared.base)
    }
}

fn find<'p>(pairs: &'p [(String, String)], wanted: &str) -> Option<&'p str> {
    let mut pairs = pairs.iter();
    pairs
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.as_str())
}

/// Returns an address for a link: only web addresses are links.
pub(super) fn web_address(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    matches!(url.scheme(), "https" | "http").then(|| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links() {
        assert!(web_address("https://example.com/a?b").is_some());
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            " java\nscript:x",
            "/a",
            "mailto:a@b",
        ] {
            assert_eq!(web_address(text), None, "{text}");
        }
    }
}
