//! libpq's connection URL. It is kept as it was written, since libpq accepts forms that no other parser does (several hosts, sockets), and
//! parsed only as far as is needed to show it without secrets and to add parameters.
//!
//! The rules are those of libpq's `conninfo_uri_parse_options`: user and password end at the first `@` before any `/`, hosts and database
//! at the first `?` after that, and a parameter that comes again replaces the one before.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::DatabaseUrlError;

/// Parameters that may be shown.
const SHOWN: [&str; 8] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "target_session_attrs",
    "sslmode",
    "application_name",
];

/// A connection URL of libpq. Neither `Debug` nor `Display` shows a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// `postgres://` or `postgresql://`.
    scheme: &'static str,
    user: Option<String>,
    password: Option<String>,
    /// Hosts with ports and the database, up to the `?`.
    place: String,
    /// In order, still percent-encoded.
    parameters: Vec<(String, String)>,
}

impl PostgresUrl {
    /// Returns the whole text, including secrets, with further parameters, which the URL's own override.
    pub(crate) fn with_defaults(&self, defaults: &[(&str, String)]) -> String {
        let defaults = defaults
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        let own = self
            .parameters
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        self.text(self.password.as_deref(), &defaults.chain(own).collect::<Vec<_>>())
    }

    fn text(&self, password: Option<&str>, parameters: &[String]) -> String {
        let mut text = self.scheme.to_owned();
        if let Some(user) = &self.user {
            text.push_str(user);
            if let Some(password) = password {
                text.extend([":", password]);
            }
            text.push('@');
        }
        text.push_str(&self.place);
        if !parameters.is_empty() {
            text.extend(["?", &parameters.join("&")]);
        }
        text
    }

    /// Returns how many hosts libpq tries in turn.
    pub(crate) fn hosts(&self) -> u32 {
        let named = self
            .parameters
            .iter()
            .filter(|(name, _)| name == "host" || name == "hostaddr")
            .map(|(_, value)| decoded(value));
        let most = named
            .chain([self.place.clone()])
            .map(|hosts| hosts.matches(',').count())
            .max();
        u32::try_from(most.unwrap_or_default()).map_or(u32::MAX, |commas| commas.saturating_add(1).min(16))
    }

    /// Returns a message of libpq or a server, with `***` where it repeats a secret.
    pub(crate) fn without_secrets(&self, message: &str) -> String {
        let mut secrets: Vec<String> = self
            .secrets()
            .flat_map(|secret| [decoded(secret), secret.to_owned()])
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(message.trim_end().to_owned(), |message, secret| {
                message.replace(secret, "***")
            })
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let parameters = self.parameters.iter().filter(|(name, _)| {
            ["password", "secret", "scram"]
                .iter()
                .any(|word| name.contains(word))
        });
        self.password
            .as_deref()
            .into_iter()
            .chain(parameters.map(|(_, value)| value.as_str()))
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl FromStr for PostgresUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let schemes = ["postgres://", "postgresql://"];
        let (scheme, rest) = schemes
            .into_iter()
            .find_map(|scheme| Some((scheme, text.strip_prefix(scheme)?)))
            .ok_or(DatabaseUrlError::Scheme)?;
        check_percent(rest)?;
        let (access, rest) = match rest.split_once('@') {
            Some((access, rest)) if !access.contains('/') => (Some(access), rest),
            _ => (None, rest),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') || !ports_are_numbers(place) {
            return Err(DatabaseUrlError::Authority);
        }
        let (user, password) = match access.map(|access| access.split_once(':').ok_or(access)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
        };
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        let parameters = parameters.map(|parameter| match parameter.split_once('=') {
            Some((name, value)) if !value.contains('=') => Ok((decoded(name), value.to_owned())),
            _ => Err(DatabaseUrlError::Parameter),
        });
        Ok(Self {
            scheme,
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            place: place.to_owned(),
            parameters: parameters.collect::<Result<_, _>>()?,
        })
    }
}

fn check_percent(text: &str) -> Result<(), DatabaseUrlError> {
    let right = text.split('%').skip(1).all(|after| {
        let digits = after.get(..2).unwrap_or_default();
        digits.len() == 2 && digits != "00" && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if right && !text.contains('\0') {
        Ok(())
    } else {
        Err(DatabaseUrlError::Percent)
    }
}

/// Returns whether every port is a number. A password that contains a `/` would be parsed as a port.
fn ports_are_numbers(place: &str) -> bool {
    let hosts = place.split('/').next().unwrap_or_default();
    hosts.split(',').all(|host| {
        let after_address = host.rsplit(']').next().unwrap_or_default();
        let port = after_address.split_once(':').map_or("", |(_, port)| port);
        port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .parameters
            .iter()
            .filter(|(name, _)| SHOWN.contains(&name.as_str()));
        let shown: Vec<_> = shown.map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&self.text(self.password.as_ref().map(|_| "***"), &shown))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [&str; 9] = [
        "postgres://me:hunter2@db:5432/trunkline",
        "postgresql://db/x?user=me&password=hunter2",
        "postgres://me:hunter2@h1:5432,h2:5433/db?target_session_attrs=read-write",
        "postgres:///db?host=h1,h2&port=1,2&user=u&password=hunter2",
        "postgres://me:hunter2@[::1]:5432,[fe80::1]/db",
        "postgresql://me:hunter2@/db?host=/run/postgresql",
        "postgres://me:hunter2@%2Frun%2Fpostgresql/db",
        "postgres://me:h%75nter2@h/db?sslpassword=hunter2",
        "postgres://me:?hunter2#@h/db",
    ];

    #[test]
    fn every_form_of_libpq_is_kept_and_shown_without_a_password() {
        for text in FORMS {
            let url: PostgresUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.with_defaults(&[]), text);
            let shown = format!("{url} {url:?}");
            assert!(!shown.contains("unter2"), "{shown}");
        }
    }

    #[test]
    fn parameters_of_the_url_override_added_ones() {
        let url = |text: &str| text.parse::<PostgresUrl>().unwrap();
        let added = [("fallback_application_name", "trunkline serve".to_owned())];
        assert_eq!(
            url("postgres://u@h/db?sslmode=require").with_defaults(&added),
            "postgres://u@h/db?fallback_application_name=trunkline%20serve&sslmode=require"
        );
        assert_eq!(
            url("postgres:///db").with_defaults(&added),
            "postgres:///db?fallback_application_name=trunkline%20serve"
        );
    }

    #[test]
    fn hosts_are_counted_in_every_form() {
        let hosts = |text: &str| text.parse::<PostgresUrl>().unwrap().hosts();
        assert_eq!(hosts("postgres://u@h1,h2,h3/db"), 3);
        assert_eq!(hosts("postgres:///db?host=h1%2Ch2"), 2);
        assert_eq!(hosts("postgres:///db"), 1);
    }

    #[test]
    fn ambiguous_urls_are_refused_without_echoing_them() {
        use DatabaseUrlError as E;
        for (text, expected) in [
            ("postgres://u:p@ss@h/db", E::Authority),
            ("postgres://u:p/ss@h/db", E::Authority),
            ("postgres://u:p%zz@h/db", E::Percent),
            ("postgres://u:p%00@h/db", E::Percent),
            ("postgres://h/db?password", E::Parameter),
            ("postgres://h/db?password=a=b", E::Parameter),
            ("postgres:h/db", E::Scheme),
            ("host=h dbname=db", E::Scheme),
        ] {
            assert_eq!(text.parse::<PostgresUrl>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_message_that_repeats_a_secret_is_masked() {
        let url: PostgresUrl = "postgres://u:a%20b@h/db?sslpassword=s3cret".parse().unwrap();
        let message = "cannot use \"a b\" nor a%20b nor s3cret\n";
        assert_eq!(url.without_secrets(message), "cannot use \"***\" nor *** nor ***");
    }
}
