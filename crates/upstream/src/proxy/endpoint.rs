//! The address of a proxied request: below the provider's base URL, or another that is allowed, and nowhere else.

use http::Method;
use http::header::{self, HeaderName, HeaderValue};
use registry::Template;
use registry::placement::KEY_NAME;
use url::Url;

use super::ProxyRequest;
use crate::prepare::{HOP_BY_HOP, NOT_SENT, PreparedRequest, prepare};
use crate::servers::{base_url, caller_url, file_url};
use crate::{ProxyRequestBody, Request, RequestError, Target, Upstream};

/// Headers that are never sent to another origin: those that authorize, and those of a body, which is not sent there either.
static SAME_ORIGIN_ONLY: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
];
/// The values of the connection that a client's base URL may contain: those that are not secret.
const PUBLIC_VALUES: &str = "connectionConfig.";

impl Upstream {
    /// Prepares a client's request, whose streamed body is omitted.
    pub(super) fn prepare_proxy(
        &self,
        target: &Target,
        proxy: &mut ProxyRequest,
    ) -> Result<PreparedRequest, RequestError> {
        let base = proxy.base_url.as_deref().filter(|base| !base.is_empty());
        let base = base.map(|base| self.allowed_base(target, base)).transpose()?;
        let mut path = self.path(target, base.as_ref(), &proxy.endpoint)?;
        if let Some(query) = &proxy.query {
            path.push('?');
            path.push_str(query);
        }
        let mut request = Request::new(proxy.method.clone(), path);
        request.headers = std::mem::take(&mut proxy.headers);
        request.defaults = std::mem::take(&mut proxy.content_headers);
        if let ProxyRequestBody::Whole(body) = &proxy.body {
            request.body = Some(body.clone()).filter(|body| !body.is_empty());
        }
        let mut prepared = prepare(
            &self.0.options,
            target,
            &request,
            &self.request_values(),
            base.as_ref(),
            &[],
        )?;
        if proxy.decompress {
            prepared.accept_codings();
        } else {
            for value in request.headers.get_all(header::ACCEPT_ENCODING) {
                prepared.headers.append(header::ACCEPT_ENCODING, value.clone());
            }
        }
        let length = match &proxy.body {
            ProxyRequestBody::Stream { length, .. } => *length,
            // A method that usually has a body says that there is none (RFC 9110, 8.6).
            ProxyRequestBody::Whole(_) => {
                let usual = matches!(proxy.method, Method::POST | Method::PUT | Method::PATCH);
                (usual && prepared.body.is_none()).then_some(0)
            }
        };
        if let Some(length) = length {
            prepared
                .headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if proxy.carry_headers {
            prepared.carried = request.headers;
            let of_the_file = target.provider.headers.iter().map(|(name, _)| name.as_str());
            let placed = target.variables.integration_config.get(KEY_NAME);
            let kept_back = SAME_ORIGIN_ONLY.iter().chain(&HOP_BY_HOP).chain(&NOT_SENT);
            let kept_back = kept_back.map(HeaderName::as_str);
            for name in of_the_file.chain(placed.map(String::as_str)).chain(kept_back) {
                prepared.carried.remove(name);
            }
        }
        Ok(prepared)
    }

    /// Returns the client's base URL, if its origin is one of the provider's or one that the operator allows.
    fn allowed_base(&self, target: &Target, text: &str) -> Result<Template, RequestError> {
        let bad = |problem: &str| RequestError::BadUrl(format!("the base URL asked for {problem}"));
        let is_public = |placeholder: &str| {
            let name = placeholder.strip_prefix(PUBLIC_VALUES);
            name.is_some_and(|name| !target.provider.is_secret_config(name))
        };
        let template = Template::parse_placeholders(text, false, is_public);
        let template = template
            .map_err(|_| bad("may only hold ${connectionConfig.NAME} of values that are not secret"))?;
        let url = caller_url(target, &template)?;
        let provider = &target.provider;
        let of_the_file = std::iter::once(None)
            .chain(provider.servers.keys().map(|name| Some(name.as_str())))
            .filter_map(|server| file_url(target, server).ok());
        let allowed = self.0.options.allowed_origins.get(&provider.name);
        let known = of_the_file
            .map(|known| known.origin())
            .chain(allowed.into_iter().flatten().map(Url::origin))
            .any(|origin| origin == url.origin());
        if known {
            Ok(template)
        } else {
            Err(RequestError::OverrideNotAllowed {
                origin: url.origin().ascii_serialization(),
                provider: provider.name.clone(),
            })
        }
    }

    /// Returns the path below the base URL, from a path or from an address that begins with the base URL.
    fn path(&self, target: &Target, base: Option<&Template>, endpoint: &str) -> Result<String, RequestError> {
        // A whole address that was appended to a path begins with the slash of that.
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
        let in_force = base_url(&self.0.options, target, None)?;
        [by_file, in_force]
            .iter()
            .find_map(|base| below(base, address))
            .ok_or_else(|| RequestError::BadUrl("an endpoint that is a whole address must begin with the base URL; to call another server, name it in \
                          Base-Url-Override"
                    .to_owned()))
    }
}

/// Returns what follows the base URL in an address, as written.
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
