//! From a call to what is sent: address, authorisation, the provider's headers and parameters.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http::Request;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use registry::placement::{KEY_NAME, KEY_PLACEMENT, VALUE_TEMPLATE};
use registry::{AuthMode, RenderError, Template};
use url::Url;

use crate::context::Context;
use crate::target::{add_headers, filled};
use crate::{Call, CallError, Target, Upstream, body, coding};

/// Headers of one hop, or made by the HTTP client: a caller's are left out (RFC 9110, 7.6.1).
pub(crate) const NOT_FORWARDED: [HeaderName; 11] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];

/// What is accepted if neither the provider's file nor the caller says: some interfaces answer with XML if they may.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, text/plain, */*");

/// Whether a call may have a header of that name, beside those that the HTTP client makes itself.
pub fn may_be_set(name: &str) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| !NOT_FORWARDED.contains(&name))
}

/// What is sent. Holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// The provider's own parameters, which may be secret; they are in `url` already.
    pub(crate) own_query: Vec<(String, String)>,
    /// Headers that go along to another origin too; by a caller's wish alone.
    pub(crate) carried: HeaderMap,
}

impl Prepared {
    /// The head of the request as the HTTP client takes it. A name and password in the address become an authorisation, unless there
    /// is one.
    pub(crate) fn to_request(&self) -> Result<Request<()>, CallError> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        request.headers_mut().clone_from(&self.headers);
        let uri = if self.url.username().is_empty() && self.url.password().is_none() {
            self.url.as_str().parse()
        } else {
            if !self.headers.contains_key(header::AUTHORIZATION) {
                let pair = user_info(&self.url);
                insert_secret(request.headers_mut(), "authorization", &format!("Basic {pair}"))?;
            }
            without_user_info(&self.url).as_str().parse()
        };
        *request.uri_mut() = uri.map_err(|_| CallError::BadUrl {
            problem: "it has characters that HTTP does not allow".to_owned(),
        })?;
        Ok(request)
    }

    /// Asks for a coded body, unless the provider's file says what to ask for, or only a part of the body is wanted, which could
    /// not be decoded.
    pub(crate) fn accept_codings(&mut self) {
        if !self.headers.contains_key(header::RANGE) {
            self.headers
                .entry(header::ACCEPT_ENCODING)
                .or_insert(coding::ACCEPTED);
        }
    }
}

impl Upstream {
    /// `base` replaces the provider's server, unless the operator did that; `more` are headers beside the provider's.
    pub(crate) fn prepare(
        &self,
        target: &Target,
        call: &Call,
        base: Option<&Template>,
        more: &[(String, Template)],
    ) -> Result<Prepared, CallError> {
        let mut url = match base {
            Some(base) if !self.options().base_urls.contains_key(&target.provider.name) => {
                address(&caller_url(target, base)?, call)?
            }
            _ => self.url_of(target, call)?,
        };
        let moment = self.moment();
        let context = |url| Context {
            moment: &moment,
            variables: &target.variables,
            call,
            url,
        };
        let placed = placed_key(target)?;
        let bare = url.clone();
        let before = context(&bare);
        let mut own_query = filled(&target.provider.query, &|hole| before.lookup(hole))?;
        own_query.extend(placed.iter().filter(|key| key.in_query).map(PlacedKey::pair));
        add_missing(&mut url, &own_query);
        let about = context(&url);
        let lookup = |hole: &str| about.lookup(hole);
        let mut headers = self.own_headers(target, &lookup)?;
        for key in placed.iter().filter(|key| !key.in_query) {
            insert_secret(&mut headers, &key.name, &key.value)?;
        }
        add_headers(&mut headers, more, &lookup)?;
        for name in call.headers.keys().filter(|name| !NOT_FORWARDED.contains(name)) {
            headers.remove(name);
            for value in call.headers.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        for name in call.defaults.keys() {
            if !headers.contains_key(name) {
                headers.extend(
                    call.defaults
                        .get_all(name)
                        .iter()
                        .map(|value| (name.clone(), value.clone())),
                );
            }
        }
        headers.entry(header::ACCEPT).or_insert(ACCEPT);
        let body = body::with_own(&target.provider.body, call, &mut headers, &lookup)?;
        Ok(Prepared {
            method: call.method.clone(),
            url,
            headers,
            body,
            own_query,
            carried: HeaderMap::new(),
        })
    }

    /// The call's address without the provider's own parameters.
    pub(crate) fn url_of(&self, target: &Target, call: &Call) -> Result<Url, CallError> {
        address(&self.base_url(target, call.server.as_deref())?, call)
    }

    /// The server as it is called: an override by the operator replaces all of the provider's. The file's leading path stays, unless
    /// the override has one or the connection lacks what the file's address is made of.
    pub(crate) fn base_url(&self, target: &Target, server: Option<&str>) -> Result<Url, CallError> {
        let by_file = file_url(target, server);
        let Some(url) = self.options().base_urls.get(&target.provider.name) else {
            return by_file;
        };
        let mut url = url.clone();
        if let (Ok(by_file), "" | "/") = (by_file, url.path()) {
            url.set_path(by_file.path());
        }
        Ok(url)
    }

    /// The headers that every call of the provider has.
    fn own_headers(
        &self,
        target: &Target,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<HeaderMap, CallError> {
        let mut headers = HeaderMap::new();
        let agent = HeaderValue::from_str(&self.options().user_agent);
        headers.insert(
            header::USER_AGENT,
            agent.map_err(|_| CallError::BadHeader {
                name: "user-agent".to_owned(),
            })?,
        );
        if target.provider.auth == AuthMode::Basic
            && let Some(pair) = basic_pair(target)
        {
            insert_secret(&mut headers, "authorization", &format!("Basic {pair}"))?;
        }
        add_headers(&mut headers, &target.provider.headers, lookup)?;
        Ok(headers)
    }
}

/// Name and password of an address as the `Basic` scheme writes them (RFC 7617).
fn user_info(url: &Url) -> String {
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    STANDARD.encode(pair)
}

/// The address without its name and password.
fn without_user_info(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail only for an address without a host, which has neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

fn insert_secret(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), CallError> {
    let bad = || CallError::BadHeader {
        name: name.to_owned(),
    };
    let header = HeaderName::try_from(name).map_err(|_| bad())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
    value.set_sensitive(true);
    headers.insert(header, value);
    Ok(())
}

/// A key whose place the integration's own configuration tells, since the file leaves that open.
struct PlacedKey {
    in_query: bool,
    name: String,
    value: String,
}

impl PlacedKey {
    fn pair(&self) -> (String, String) {
        (self.name.clone(), self.value.clone())
    }
}

/// Names of the parameters that the provider's file or the integration adds to each call; they may be keys.
pub(crate) fn own_parameters(target: &Target) -> Vec<(String, ())> {
    let config = &target.variables.integration_config;
    let placed = config.get(KEY_NAME).filter(|_| is_in_query(config));
    let own = target.provider.query.iter().map(|(name, _)| name);
    own.chain(placed).map(|name| (name.clone(), ())).collect()
}

fn is_in_query(config: &BTreeMap<String, String>) -> bool {
    config.get(KEY_PLACEMENT).is_some_and(|place| place == "query")
}

/// By the keys `keyName`, `keyPlacement` (`header` or `query`) and `valueTemplate` of the configuration, as in Nango's entry for
/// interfaces that it does not know.
fn placed_key(target: &Target) -> Result<Option<PlacedKey>, CallError> {
    let config = &target.variables.integration_config;
    let Some(name) = config.get(KEY_NAME).filter(|name| !name.is_empty()) else {
        return if target.provider.is_placed_by_name() {
            Err(CallError::Template(RenderError::Missing {
                hole: format!("integrationConfig.{KEY_NAME}"),
            }))
        } else {
            Ok(None)
        };
    };
    let in_query = is_in_query(config);
    // What was stored before there was a rule is refused here.
    if !in_query && !may_be_set(name) {
        return Err(CallError::Integration {
            field: KEY_NAME,
            problem: "it names a header that no caller may set".to_owned(),
        });
    }
    let text = config.get(VALUE_TEMPLATE).filter(|text| !text.is_empty());
    let template = target
        .provider
        .value_template(text.map_or("${apiKey}", String::as_str));
    let template = template.map_err(|error| CallError::Integration {
        field: VALUE_TEMPLATE,
        problem: error.to_string(),
    })?;
    Ok(Some(PlacedKey {
        in_query,
        name: name.clone(),
        value: template.render(&|hole| target.variables.lookup(hole))?,
    }))
}

/// User name and password as the `Basic` scheme writes them (RFC 7617); a provider may leave one of them empty.
pub(crate) fn basic_pair(target: &Target) -> Option<String> {
    let credential = |name| target.variables.credential(name);
    match (credential("username"), credential("password")) {
        (None, None) => None,
        (user, password) => Some(STANDARD.encode(format!(
            "{}:{}",
            user.unwrap_or_default(),
            password.unwrap_or_default()
        ))),
    }
}

/// The server as the provider's file names it.
pub(crate) fn file_url(target: &Target, server: Option<&str>) -> Result<Url, CallError> {
    let template = match server {
        None => &target.provider.base_url,
        Some(name) => target
            .provider
            .servers
            .get(name)
            .ok_or_else(|| CallError::UnknownServer(name.to_owned()))?,
    };
    server_url(target, template)
}

/// A server's address with its holes filled; see [`Template::render_address`] for what a value may hold.
pub(crate) fn server_url(target: &Target, template: &Template) -> Result<Url, CallError> {
    Ok(template.render_address(&|name| target.variables.lookup(name))?)
}

/// Like [`server_url`] for a caller's template, which holds public values alone.
pub(crate) fn caller_url(target: &Target, template: &Template) -> Result<Url, CallError> {
    Ok(template.render_address(&|name| target.variables.lookup_public_config(name))?)
}

/// The leading path of a server, without a slash at its end.
pub(crate) fn leading_path(base: &Url) -> &str {
    base.path().trim_end_matches('/')
}

fn address(base: &Url, call: &Call) -> Result<Url, CallError> {
    let bad = |problem: &str| CallError::BadUrl {
        problem: problem.to_owned(),
    };
    if !call.path.starts_with('/') {
        return Err(bad("a path must begin with /"));
    }
    let text = format!("{}{}", base.as_str().trim_end_matches('/'), call.path);
    let mut url = Url::parse(&text).map_err(|error| bad(&error.to_string()))?;
    let below = url
        .path()
        .strip_prefix(leading_path(base))
        .is_some_and(|rest| rest.starts_with('/'));
    if !below {
        return Err(bad("a path may not step out of the server's leading path"));
    }
    url.set_fragment(None);
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.query);
    }
    Ok(url)
}

/// Adds those parameters that the address lacks.
pub(crate) fn add_missing(url: &mut Url, query: &[(String, String)]) {
    let missing: Vec<&(String, String)> = query
        .iter()
        .filter(|(name, _)| !url.query_pairs().any(|(there, _)| there == name.as_str()))
        .collect();
    if !missing.is_empty() {
        url.query_pairs_mut()
            .extend_pairs(missing.iter().map(|(name, value)| (name, value)));
    }
}

/// Takes parameters out of the address by name and leaves the rest as it is written.
pub(crate) fn remove_named<T>(url: &mut Url, parameters: &[(String, T)]) {
    let Some(query) = url.query() else {
        return;
    };
    let named = |pair: &&str| {
        url::form_urlencoded::parse(pair.as_bytes())
            .any(|(name, _)| parameters.iter().any(|(taken, _)| name == taken.as_str()))
    };
    let left: Vec<&str> = query.split('&').filter(|pair| !named(pair)).collect();
    let left = left.join("&");
    url.set_query(Some(left.as_str()).filter(|left| !left.is_empty()));
}
