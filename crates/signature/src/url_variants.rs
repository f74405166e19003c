//! The URL of a request in the spellings that a provider may have signed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use registry::webhooks::UrlVariant;
use url::{Url, form_urlencoded};

use crate::message::MOST_PARAMETERS;

/// What Node's `querystring` does not encode, besides letters and digits.
const LEGACY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Returns the URL as it is, and its variants, without repetitions.
pub(crate) fn variants(url: &str, variants: &[UrlVariant]) -> Vec<String> {
    let mut spellings = vec![url.to_owned()];
    let normalized = || Url::parse(url).ok().map(String::from);
    if variants.contains(&UrlVariant::Normalized) {
        spellings.extend(normalized());
    }
    if variants.contains(&UrlVariant::LegacyQuery) {
        spellings.extend(normalized().map(|url| with_legacy_query(&url)));
    }
    let mut found: Vec<String> = Vec::new();
    for spelling in spellings {
        let ported = variants
            .contains(&UrlVariant::Ports)
            .then(|| ports(&spelling))
            .flatten();
        for url in std::iter::once(spelling).chain(ported.into_iter().flatten()) {
            if !found.contains(&url) {
                found.push(url);
            }
        }
    }
    found
}

/// Returns the URL without its port, and with the port of its scheme if it has none.
fn ports(url: &str) -> Option<[String; 2]> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (format!("{user}@"), host),
        None => (String::new(), authority),
    };
    // A colon within the brackets of an IPv6 address begins no port.
    let after = host.rfind(']').unwrap_or_default();
    let bare = match host.get(after..).and_then(|tail| tail.find(':')) {
        Some(colon) => host.get(..after.saturating_add(colon)).unwrap_or(host),
        None => host,
    };
    let default = if scheme.eq_ignore_ascii_case("https") {
        "443"
    } else {
        "80"
    };
    let with = if bare == host {
        format!("{scheme}://{user}{host}:{default}{path}")
    } else {
        url.to_owned()
    };
    Some([format!("{scheme}://{user}{bare}{path}"), with])
}

fn with_legacy_query(url: &str) -> String {
    let Some((base, query)) = url.split_once('?').filter(|(_, query)| !query.is_empty()) else {
        return url.to_owned();
    };
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .take(MOST_PARAMETERS)
        .collect();
    let mut written: Vec<String> = Vec::new();
    for (index, (name, _)) in pairs.iter().enumerate() {
        // The values of a name follow each other, where it is first.
        if pairs.iter().take(index).any(|(earlier, _)| earlier == name) {
            continue;
        }
        let of_name = pairs.iter().filter(|(other, _)| other == name);
        written.extend(of_name.map(|(name, value)| {
            format!(
                "{}={}",
                utf8_percent_encode(name, LEGACY),
                utf8_percent_encode(value, LEGACY)
            )
        }));
    }
    format!("{base}?{}", written.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_removed_and_added() {
        for (url, without, with) in [
            (
                "https://a.example/x?y",
                "https://a.example/x?y",
                "https://a.example:443/x?y",
            ),
            ("http://a.example", "http://a.example", "http://a.example:80"),
            (
                "https://a.example:1234/x",
                "https://a.example/x",
                "https://a.example:1234/x",
            ),
            (
                "https://u:p@a.example:1/x",
                "https://u:p@a.example/x",
                "https://u:p@a.example:1/x",
            ),
            (
                "https://u:p@a.example/x",
                "https://u:p@a.example/x",
                "https://u:p@a.example:443/x",
            ),
            ("https://[::1]/x:y", "https://[::1]/x:y", "https://[::1]:443/x:y"),
            ("https://[::1]:8/x", "https://[::1]/x", "https://[::1]:8/x"),
        ] {
            assert_eq!(ports(url), Some([without.to_owned(), with.to_owned()]), "{url}");
        }
        assert_eq!(ports("a.example"), None);
    }

    #[test]
    fn a_query_is_normalized_and_encoded_the_legacy_way() {
        let all = [UrlVariant::Ports, UrlVariant::Normalized, UrlVariant::LegacyQuery];
        assert_eq!(
            variants("https://a.example/x?t=it's+a", &all),
            [
                "https://a.example/x?t=it's+a",
                "https://a.example:443/x?t=it's+a",
                "https://a.example/x?t=it%27s+a",
                "https://a.example:443/x?t=it%27s+a",
                "https://a.example/x?t=it's%20a",
                "https://a.example:443/x?t=it's%20a",
            ]
        );
        assert_eq!(variants("https://a.example/x", &[]), ["https://a.example/x"]);
        assert_eq!(
            with_legacy_query("https://a/?b=1&a=2&b=3&c&&d="),
            "https://a/?b=1&b=3&a=2&c=&d="
        );
    }
}
