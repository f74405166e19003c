//! Renders addresses of servers: a value may not change anything outside its position.
//!
//! Credentials are sent to the rendered address. A value at the end of the host may have a port and a path, and a value at the beginning
//! may be the whole address. Any other value is part of a host name, a port or one segment of a path. No value can add a user, a query
//! or another scheme, end the host early, or write it in characters that parsers read differently.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::render::{Budget, Lookup, Refused, Spot};
use super::{RenderError, Template};

/// The characters of a value in a path that are encoded; a key such as `123:abc` stays as it is.
const NOT_OF_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b':');

const HOST_PART: &str =
    "must be a part of a host name: letters, digits, dots and hyphens, without a port and without a path";
const HOST: &str =
    "must be a host name such as api.example.com, perhaps with a port and a path, and without https://";
const ADDRESS: &str = "must be an address such as https://api.example.com/base, without a user name, ? and #";
const PORT: &str = "must be a port, a number from 1 to 65535";
const PATH: &str = "has a path with characters or steps that an address may not hold there";

impl Template {
    /// Renders the address of a server: `http` or `https`, a host, and perhaps a port and a leading path.
    ///
    /// An empty value does not fill a placeholder. A value that is not allowed at its position is [`RenderError::Unfit`].
    pub fn render_address(&self, lookup: &Lookup<'_>) -> Result<Url, RenderError> {
        let text = self.render_with(lookup, &fit, &mut Budget::full())?;
        let no_address = |problem: &str| RenderError::NoAddress(problem.to_owned());
        let url = Url::parse(&text).map_err(|error| no_address(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(no_address("it must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(no_address("it may not hold a user name or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(no_address("it may not hold ? or #"));
        }
        Ok(url)
    }
}

/// Which part of an address a placeholder is in, by the text before it.
enum Place {
    Start,
    Host { begins: bool },
    Port,
    Path,
}

impl Place {
    fn after(before: &str) -> Self {
        let Some((_, rest)) = before.split_once("://") else {
            return if before.is_empty() {
                Self::Start
            } else {
                Self::Path
            };
        };
        if rest.contains(['/', '?', '#', '\\']) {
            return Self::Path;
        }
        let past_literal = rest.rsplit(']').next().unwrap_or(rest);
        if past_literal.contains(':') {
            Self::Port
        } else {
            Self::Host {
                begins: rest.is_empty(),
            }
        }
    }
}

fn fit(spot: &Spot<'_>, value: &str) -> Result<String, Refused> {
    if value.is_empty() {
        return Err(Refused::AsMissing);
    }
    match Place::after(spot.before) {
        Place::Start => address(spot, value),
        Place::Host { begins } => host(spot, value, begins, HOST),
        Place::Port => match value.parse::<u16>() {
            Ok(1..) if value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(value.to_owned()),
            _ => Err(Refused::Rule(PORT)),
        },
        Place::Path if value.chars().all(|c| c == '.') => Err(Refused::Rule(PATH)),
        Place::Path => Ok(utf8_percent_encode(value, NOT_OF_SEGMENT).to_string()),
    }
}

/// Checks a value that begins the address.
fn address(spot: &Spot<'_>, value: &str) -> Result<String, Refused> {
    let is_scheme = |text: &str| text.eq_ignore_ascii_case("https") || text.eq_ignore_ascii_case("http");
    if spot.after.is_some_and(|text| text.starts_with("://")) {
        let is_scheme = is_scheme(value).then(|| value.to_owned());
        return is_scheme.ok_or(Refused::Rule("must be https"));
    }
    match value.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) && !rest.is_empty() => {
            let rest = host(spot, rest, true, ADDRESS)?;
            Ok(format!("{scheme}://{rest}"))
        }
        _ => Err(Refused::Rule(ADDRESS)),
    }
}

/// Checks a host or a part of one, at its end perhaps with a port and a path. `begins` says whether it is the beginning of the host.
fn host(spot: &Spot<'_>, value: &str, begins: bool, rule: &'static str) -> Result<String, Refused> {
    let slash_follows = spot.after.is_some_and(|text| text.starts_with('/'));
    let ends = slash_follows || spot.after == Some("");
    let (authority, path) = match value.find('/').and_then(|at| value.split_at_checked(at)) {
        Some((authority, path)) => (authority, Some(path)),
        None => (value, None),
    };
    let (name, port) = host_and_port(authority).ok_or(Refused::Rule(rule))?;
    if !ends && (port.is_some() || path.is_some()) {
        return Err(Refused::Rule(HOST_PART));
    }
    let good = if name.starts_with('[') {
        begins && ends && is_ipv6(name)
    } else {
        is_host_part(name, begins, ends)
    };
    if !good {
        return Err(Refused::Rule(if ends { rule } else { HOST_PART }));
    }
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..)) || port.starts_with('+')) {
        return Err(Refused::Rule(rule));
    }
    let Some(path) = path else {
        return Ok(authority.to_owned());
    };
    let path = leading_path(path).ok_or(Refused::Rule(PATH))?;
    let path = if slash_follows {
        path.trim_end_matches('/')
    } else {
        &path
    };
    Ok(format!("{authority}{path}"))
}

/// Splits the host, which may be an IPv6 address in brackets, from the port.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let (literal, rest) = authority.split_at_checked(authority.find(']')?.checked_add(1)?)?;
        return match rest {
            "" => Some((literal, None)),
            _ => Some((literal, Some(rest.strip_prefix(':')?))),
        };
    }
    Some(match authority.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (authority, None),
    })
}

fn is_ipv6(literal: &str) -> bool {
    let inner = literal.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Whether `name` is a part of a host name in plain ASCII, on which all parsers agree; other letters are written with `xn--`.
fn is_host_part(name: &str, begins: bool, ends: bool) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let open = (begins && name.starts_with('.')) || (ends && name.ends_with('.'));
    // After a part of the host, the value may be only a path.
    (!name.is_empty() || !begins) && name.chars().all(plain) && !name.contains("..") && !open
}

/// Returns a leading path with letters beyond ASCII encoded; `None` if it contains anything that a URL parser interprets.
fn leading_path(path: &str) -> Option<String> {
    let plain = |c: char| {
        (c.is_alphanumeric() && !c.is_ascii())
            || c.is_ascii_alphanumeric()
            || "-._~!$&'()*+,;=:@/%".contains(c)
    };
    let stays = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8();
        decoded.is_ok_and(|text| {
            !matches!(&*text, "." | "..") && !text.contains(|c: char| c.is_control() || "/\\".contains(c))
        })
    };
    let encoded = |segment: &str| {
        let mut after = segment.split('%').skip(1);
        after.all(|rest| {
            let digits = rest.get(..2).unwrap_or_default();
            digits.len() == 2 && digits.chars().all(|c| c.is_ascii_hexdigit())
        })
    };
    let good = path.chars().all(plain) && path.split('/').all(|segment| encoded(segment) && stays(segment));
    good.then(|| utf8_percent_encode(path, CONTROLS).to_string())
}

#[cfg(test)]
mod tests;
