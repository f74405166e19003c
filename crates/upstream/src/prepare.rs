//! Prepares a request for sending: its address, authorization, and the headers, parameters and fields that the provider's file adds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use registry::placement::{INTEGRATION_CONFIG, KEY_NAME, KEY_PLACEMENT, VALUE_TEMPLATE};
use registry::{AuthMode, RenderError, Template};
use url::Url;

use crate::context::{Context, RequestValues};
use crate::request::{add_headers, render_query, set_header};
use crate::servers::{add_missing, address, caller_url, request_url};
use crate::{Request, RequestError, Target, UpstreamOptions, coding, request_body};

/// Headers of a request or a response that are not forwarded: hop-by-hop headers (RFC 9110, 7.6.1), and the length, which comes with the
/// body.
pub(crate) static HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
/// Further headers of a caller that are not sent, since the HTTP client sets them, or they are for the gateway.
pub(crate) static NOT_SENT: [HeaderName; 5] = [
    header::ACCEPT_ENCODING,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::USER_AGENT,
];

/// The `Accept` header if neither the provider's file nor the caller sets one: some APIs respond with XML if they may.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, text/plain, */*");

/// The `User-Agent` header, unless the provider's file sets one.
pub(crate) const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("trunkline/", env!("CARGO_PKG_VERSION")));

/// Whether a request may have a header of that name; false for the names in `HOP_BY_HOP` and `NOT_SENT`.
pub fn may_set_header(name: &str) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| is_sent(&name))
}

fn is_sent(name: &HeaderName) -> bool {
    !HOP_BY_HOP.contains(name) && !NOT_SENT.contains(name)
}

/// A request, ready to be sent. Contains secrets, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct PreparedRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// The provider's own parameters, which may be secret; they are in `url` already.
    pub(crate) own_query: Vec<(String, String)>,
    /// Headers that are also sent to another origin after a redirect, since the caller asked for that.
    pub(crate) carried: HeaderMap,
}

impl PreparedRequest {
    /// Returns the request with this body, for the HTTP client. A name and password in the address become an authorization, unless
    /// there is one.
    pub(crate) fn to_request<B>(&self, body: B) -> Result<http::Request<B>, RequestError> {
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        request.headers_mut().clone_from(&self.headers);
        let uri = if self.url.username().is_empty() && self.url.password().is_none() {
            self.url.as_str().parse()
        } else {
            if !self.headers.contains_key(header::AUTHORIZATION) {
                let pair = user_info(&self.url);
                let value = format!("Basic {pair}");
                set_header(request.headers_mut(), "authorization", &value, true)?;
            }
            without_user_info(&self.url).as_str().parse()
        };
        *request.uri_mut() =
            uri.map_err(|_| RequestError::BadUrl("it has characters that HTTP does not allow".to_owned()))?;
        Ok(request)
    }

    /// Asks for a compressed body, unless the provider's file sets the header, or the caller wants a part of the body, which could
    /// not be decoded.
    pub(crate) fn accept_codings(&mut self) {
        if !self.headers.contains_key(header::RANGE) {
            self.headers
                .entry(header::ACCEPT_ENCODING)
                .or_insert(coding::ACCEPTED);
        }
    }
}

/// Prepares `request`. `base` replaces the provider's server, unless the operator overrides that; `more` are further headers.
pub(crate) fn prepare(
    options: &UpstreamOptions,
    target: &Target,
    request: &Request,
    values: &RequestValues,
    base: Option<&Template>,
    more: &[(String, Template)],
) -> Result<PreparedRequest, RequestError> {
    let mut url = match base {
        Some(base) if !options.base_urls.contains_key(&target.provider.name) => {
            address(&caller_url(target, base)?, request)?
        }
        _ => request_url(options, target, request)?,
    };
    let context = |url| Context {
        values,
        variables: &target.variables,
        request,
        url,
    };
    let placed = placed_key(target)?;
    let (in_query, in_header) = if is_key_in_query(target) {
        (placed, None)
    } else {
        (None, placed)
    };
    let bare = url.clone();
    let before = context(&bare);
    let mut own_query = render_query(&target.provider.query, &|name| before.lookup(name))?;
    own_query.extend(in_query);
    add_missing(&mut url, &own_query);
    let context = context(&url);
    let lookup = |name: &str| context.lookup(name);
    let mut headers = own_headers(target, &lookup)?;
    if let Some((name, value)) = &in_header {
        set_header(&mut headers, name, value, true)?;
    }
    add_headers(&mut headers, more, &lookup)?;
    for name in request.headers.keys().filter(|name| is_sent(name)) {
        headers.remove(name);
        copy_header(&request.headers, name, &mut headers);
    }
    for name in request.defaults.keys() {
        if !headers.contains_key(name) {
            copy_header(&request.defaults, name, &mut headers);
        }
    }
    headers.entry(header::ACCEPT).or_insert(ACCEPT);
    let body = request_body::with_own(&target.provider.body, request, &mut headers, &lookup)?;
    Ok(PreparedRequest {
        method: request.method.clone(),
        url,
        headers,
        body,
        own_query,
        carried: HeaderMap::new(),
    })
}

fn copy_header(from: &HeaderMap, name: &HeaderName, to: &mut HeaderMap) {
    for value in from.get_all(name) {
        to.append(name, value.clone());
    }
}

/// Returns the headers that every request to the provider has.
fn own_headers(target: &Target, lookup: &dyn Fn(&str) -> Option<String>) -> Result<HeaderMap, RequestError> {
    let mut headers = HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT)]);
    if target.provider.auth == AuthMode::Basic
        && let Some(pair) = target.basic_auth()
    {
        set_header(&mut headers, "authorization", &format!("Basic {pair}"), true)?;
    }
    add_headers(&mut headers, &target.provider.headers, lookup)?;
    Ok(headers)
}

/// Returns name and password of an address as the `Basic` scheme writes them (RFC 7617).
fn user_info(url: &Url) -> String {
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    STANDARD.encode(pair)
}

/// Returns the address without its name and password.
fn without_user_info(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail only for an address without a host, which has neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// Whether the provider's file or the integration adds the parameter of this name to each request; it may contain a key.
pub(crate) fn is_own_parameter(target: &Target, name: &str) -> bool {
    let placed = target.variables.integration_config.get(KEY_NAME);
    let placed = placed.filter(|_| is_key_in_query(target));
    placed.is_some_and(|placed| placed == name) || target.provider.query.iter().any(|(own, _)| own == name)
}

/// Whether the key that [`placed_key`] returns is a parameter, and not a header.
fn is_key_in_query(target: &Target) -> bool {
    let placement = target.variables.integration_config.get(KEY_PLACEMENT);
    placement.is_some_and(|placement| placement == "query")
}

/// Returns name and value of a key whose header or parameter is set by the integration's configuration, since the provider's file leaves
/// that open: by `keyName`, `keyPlacement` (`header` or `query`) and `valueTemplate`, as in Nango's entry for APIs that it does not know.
fn placed_key(target: &Target) -> Result<Option<(String, String)>, RequestError> {
    let config = &target.variables.integration_config;
    let Some(name) = config.get(KEY_NAME).filter(|name| !name.is_empty()) else {
        return if target.provider.needs_key_name() {
            Err(RequestError::Template(RenderError::Missing {
                placeholder: format!("{INTEGRATION_CONFIG}{KEY_NAME}"),
            }))
        } else {
            Ok(None)
        };
    };
    // What was stored before there was a rule is refused here.
    if !is_key_in_query(target) && !may_set_header(name) {
        return Err(RequestError::Integration {
            field: KEY_NAME,
            problem: "it names a header that no caller may set".to_owned(),
        });
    }
    let text = config.get(VALUE_TEMPLATE).filter(|text| !text.is_empty());
    let template = target
        .provider
        .value_template(text.map_or("${apiKey}", String::as_str));
    let template = template.map_err(|error| RequestError::Integration {
        field: VALUE_TEMPLATE,
        problem: error.to_string(),
    })?;
    let value = template.render(&|name| target.variables.lookup(name))?;
    Ok(Some((name.clone(), value)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("x-key", true)]
    #[case("Authorization", true)]
    #[case("Host", false)]
    #[case("Keep-Alive", false)]
    #[case("Proxy-Connection", false)]
    #[case("Expect", false)]
    #[case("not a name", false)]
    fn headers_of_the_hop_and_of_the_http_client_are_refused(#[case] name: &str, #[case] allowed: bool) {
        assert_eq!(may_set_header(name), allowed);
    }
}
