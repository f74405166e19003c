//! The forms of a URL that Twilio signs. Its back ends differ, so receivers must accept several.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use crate::webhooks::address::Address;

/// The bytes that JavaScript's `encodeURIComponent` and Node's `querystring` leave as they are.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The form of the URL that is signed. The request always goes to the URL as it was configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SignedUrl {
    /// As configured, without user name and password; calls over HTTPS without the port, too.
    #[default]
    Documented,
    /// With the port, also if it is the scheme's own.
    WithPort,
    /// Without any port.
    WithoutPort,
    /// As configured, with user name and password.
    WithUserInfo,
    /// As the URL standard writes it: `'` in a query becomes `%27`.
    Normalized,
    /// With the query written anew by Node's module `querystring`.
    LegacyQuery,
}

impl SignedUrl {
    /// Returns the URL to sign. `voice` is true for webhooks of calls.
    pub(crate) fn of(self, address: &Address, voice: bool) -> String {
        match self {
            Self::Documented if voice && address.is_https() => address.url_without_port(),
            Self::Documented => address.url(),
            Self::WithPort => address.url_with_port(),
            Self::WithoutPort => address.url_without_port(),
            Self::WithUserInfo => address.url_with_user_info(),
            Self::Normalized => normalized(&address.url()),
            Self::LegacyQuery => with_legacy_query(&normalized(&address.url())),
        }
    }
}

fn normalized(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), String::from)
}

/// Writes each name once for each of its values, in the order in which the names first occur.
fn with_legacy_query(url: &str) -> String {
    let Some((before, query)) = url.split_once('?').filter(|(_, query)| !query.is_empty()) else {
        return url.to_owned();
    };
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.into_owned()),
            None => groups.push((name.into_owned(), vec![value.into_owned()])),
        }
    }
    let encode = |text: &str| utf8_percent_encode(text, COMPONENT).to_string();
    let pairs: Vec<String> = groups
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    format!("{before}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(variant: SignedUrl, url: &str, voice: bool) -> String {
        variant.of(&Address::parse(url).unwrap(), voice)
    }

    #[test]
    fn each_form_of_the_url_is_as_twilios_back_ends_write_it() {
        let url = "https://u:p@a.example:8443/x?test=It's+so&b=1&test=2#rc=2";
        for (variant, expected) in [
            (
                SignedUrl::Documented,
                "https://a.example:8443/x?test=It's+so&b=1&test=2",
            ),
            (
                SignedUrl::WithoutPort,
                "https://a.example/x?test=It's+so&b=1&test=2",
            ),
            (
                SignedUrl::WithPort,
                "https://a.example:8443/x?test=It's+so&b=1&test=2",
            ),
            (
                SignedUrl::WithUserInfo,
                "https://u:p@a.example:8443/x?test=It's+so&b=1&test=2",
            ),
            (
                SignedUrl::Normalized,
                "https://a.example:8443/x?test=It%27s+so&b=1&test=2",
            ),
            (
                SignedUrl::LegacyQuery,
                "https://a.example:8443/x?test=It's%20so&test=2&b=1",
            ),
        ] {
            assert_eq!(signed(variant, url, false), expected, "{variant:?}");
        }
        assert_eq!(
            signed(SignedUrl::WithPort, "https://a.example/x", false),
            "https://a.example:443/x"
        );
    }

    #[test]
    fn a_call_over_https_is_signed_without_its_port() {
        let voice = |url| signed(SignedUrl::Documented, url, true);
        assert_eq!(voice("https://a.example:8443/x"), "https://a.example/x");
        assert_eq!(voice("http://a.example:8080/x"), "http://a.example:8080/x");
    }
}
