//! Where a relayed call goes: below the provider's base URL, or another that is allowed, and nowhere else.

use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use registry::Template;
use registry::placement::KEY_NAME;
use url::Url;

use super::{Relay, RelayBody};
use crate::request::{NOT_FORWARDED, Prepared, caller_url, file_url};
use crate::{Call, CallError, Target, Upstream};

/// Never goes along to another origin, whoever gave it: what authorises, and what tells of a body, which stays as well.
const KEPT_HOME: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
];
/// Of one hop, beside those that no call forwards.
const OF_ONE_HOP: [&str; 3] = ["keep-alive", "proxy-connection", "expect"];
/// What a caller's base URL may take from the connection: what is not secret.
const OPEN_VALUES: &str = "connectionConfig.";

impl Upstream {
    /// What is sent for `relay`, its body left out.
    pub(super) fn prepare_relay(&self, target: &Target, relay: &mut Relay) -> Result<Prepared, CallError> {
        let base = relay.base_url.as_deref().filter(|base| !base.is_empty());
        let base = base.map(|base| self.allowed_base(target, base)).transpose()?;
        let mut path = self.path(target, base.as_ref(), &relay.endpoint)?;
        if let Some(query) = &relay.query {
            path.push('?');
            path.push_str(query);
        }
        for name in OF_ONE_HOP {
            relay.headers.remove(name);
        }
        let mut call = Call::new(relay.method.clone(), path);
        call.headers = std::mem::take(&mut relay.headers);
        call.defaults = std::mem::take(&mut relay.content_headers);
        if let RelayBody::Whole(body) = &relay.body {
            call.body = Some(body.clone()).filter(|body| !body.is_empty());
        }
        let mut prepared = self.prepare(target, &call, base.as_ref(), &[])?;
        if relay.decompress {
            prepared.accept_codings();
        } else {
            for value in call.headers.get_all(header::ACCEPT_ENCODING) {
                prepared.headers.append(header::ACCEPT_ENCODING, value.clone());
            }
        }
        // A method that has a body as a rule tells that there is none (RFC 9110, 8.6).
        let none = relay.body.is_empty() && prepared.body.is_none();
        let none = none && matches!(relay.method, Method::POST | Method::PUT | Method::PATCH);
        if let Some(length) = relay.body.streamed_length().or(none.then_some(0)) {
            prepared
                .headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if relay.carry_headers {
            prepared.carried = call.headers;
            let of_the_file = target.provider.headers.iter().map(|(name, _)| name.as_str());
            let placed = target.variables.integration_config.get(KEY_NAME);
            let kept_back = KEPT_HOME.iter().chain(&NOT_FORWARDED).map(HeaderName::as_str);
            for name in of_the_file.chain(placed.map(String::as_str)).chain(kept_back) {
                prepared.carried.remove(name);
            }
        }
        Ok(prepared)
    }

    /// A caller's base URL, if its origin is one of the provider's or one that the operator allows.
    fn allowed_base(&self, target: &Target, text: &str) -> Result<Template, CallError> {
        let bad = |problem: &str| CallError::BadUrl {
            problem: format!("the base URL asked for {problem}"),
        };
        let is_open = |hole: &str| {
            let name = hole.strip_prefix(OPEN_VALUES);
            name.is_some_and(|name| !target.provider.is_secret_config(name))
        };
        let template = Template::parse_holes(text, false, is_open);
        let template = template
            .map_err(|_| bad("may only hold ${connectionConfig.NAME} of values that are not secret"))?;
        let url = caller_url(target, &template)?;
        let provider = &target.provider;
        let of_the_file = std::iter::once(None)
            .chain(provider.servers.keys().map(|name| Some(name.as_str())))
            .filter_map(|server| file_url(target, server).ok());
        let allowed = self.options().allowed_origins.get(&provider.name);
        let known = of_the_file
            .map(|known| known.origin())
            .chain(allowed.into_iter().flatten().map(Url::origin))
            .any(|origin| origin == url.origin());
        if known {
            Ok(template)
        } else {
            Err(CallError::OverrideNotAllowed {
                origin: url.origin().ascii_serialization(),
                provider: provider.name.clone(),
            })
        }
    }

    /// The path below the base URL, from a path or from an address that begins with the base URL.
    fn path(&self, target: &Target, base: Option<&Template>, endpoint: &str) -> Result<String, CallError> {
        // A whole address that was put behind a path begins with the slash of that.
        let address = endpoint.strip_prefix('/').unwrap_or(endpoint);
        let scheme = address.split_once("://").map(|(scheme, _)| scheme);
        let absolute = scheme.is_some_and(|scheme| {
            scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
        });
        if !absolute {
            let slash = if endpoint.starts_with('/') { "" } else { "/" };
            return Ok(format!("{slash}{endpoint}"));
        }
        // Both the address by the file and the one that the operator put in its place.
        let by_file = match base {
            Some(base) => caller_url(target, base)?,
            None => file_url(target, None)?,
        };
        let in_force = self.base_url(target, None)?;
        [by_file, in_force]
            .iter()
            .find_map(|base| below(base, address))
            .ok_or_else(|| CallError::BadUrl {
                problem: "an endpoint that is a whole address must begin with the base URL; to call another server, name it in \
                          Base-Url-Override"
                    .to_owned(),
            })
    }
}

/// What follows the base URL in an address, as it is written.
fn below(base: &Url, address: &str) -> Option<String> {
    let base = base.as_str().trim_end_matches('/');
    let (start, rest) = address.split_at_checked(base.len())?;
    let begins = start.eq_ignore_ascii_case(base);
    match rest.chars().next() {
        None if begins => Some("/".to_owned()),
        Some('/') if begins => Some(rest.to_owned()),
        _ => None,
    }
}
