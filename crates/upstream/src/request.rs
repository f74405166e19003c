//! A request to a provider, and those that read a list or a record.

use std::fmt;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use registry::{ListRequest, Template};

use crate::{RequestError, Target};

/// A request, before authorization and the provider's own headers are added.
#[derive(Clone, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// A name of the provider's servers; its base URL if none.
    pub server: Option<String>,
    /// The path below the server, beginning with `/`; may contain a query. Its values are escaped already.
    pub path: String,
    /// Further query parameters, plain.
    pub query: Vec<(String, String)>,
    /// Headers, which win over those of the provider's file; hop-by-hop headers and `user-agent` are omitted.
    pub headers: HeaderMap,
    /// Headers that are sent if neither the provider's file nor `headers` has one of that name.
    pub defaults: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
    /// Whether sending it twice is the same as sending it once, so that it may be retried when it is unknown whether it was carried out.
    pub idempotent: bool,
}

impl Request {
    /// Makes a GET of `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Makes a request of `path`, idempotent if its method is (RFC 9110, 9.2.2).
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            idempotent: method.is_idempotent(),
            method,
            path: path.into(),
            ..Self::default()
        }
    }
}

/// Shows the method and the path alone: a query, a header or a body may contain secrets or personal data.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("server", &self.server)
            .field("path", &path)
            .field("idempotent", &self.idempotent)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// Makes the request for a list. `extra_query` follows the file's parameters; a header or parameter of the file is omitted if a
    /// placeholder of it has no value.
    pub fn list_request(
        &self,
        list: &ListRequest,
        extra_query: &[(String, String)],
    ) -> Result<Request, RequestError> {
        let lookup = |name: &str| self.variables.lookup(name);
        let mut request = Request::get(list.path.render_path(&lookup)?);
        request.server.clone_from(&list.server);
        request.query = render_query(&list.query, &lookup)?;
        request.query.extend_from_slice(extra_query);
        add_headers(&mut request.headers, &list.headers, &lookup)?;
        Ok(request)
    }

    /// Makes the request for one record: `${record.…}` of the path is its key. `server` is that of the record's list.
    pub fn record_request(
        &self,
        server: Option<&str>,
        path: &Template,
        key: &str,
    ) -> Result<Request, RequestError> {
        let lookup = |name: &str| {
            if name.starts_with("record.") {
                Some(key.to_owned())
            } else {
                self.variables.lookup(name)
            }
        };
        let mut request = Request::get(path.render_path(&lookup)?);
        request.server = server.map(str::to_owned);
        Ok(request)
    }
}

/// Renders query parameters of the file; one with a placeholder that has no value is omitted.
pub(crate) fn render_query(
    templates: &[(String, Template)],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, RequestError> {
    let mut pairs = Vec::new();
    for (name, template) in templates {
        let value = template.render_if_filled(lookup);
        let value = value.map_err(RequestError::within(|| format!("the query parameter {name:?}")))?;
        pairs.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(pairs)
}

/// Renders headers of the file into `headers`; one with a placeholder that has no value is omitted, and an empty one removes the header
/// of its name from `headers`.
pub(crate) fn add_headers(
    headers: &mut HeaderMap,
    templates: &[(String, Template)],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), RequestError> {
    for (name, template) in templates {
        let value = template.render_if_filled(lookup);
        let value = value.map_err(RequestError::within(|| format!("the header {name:?}")))?;
        if let Some(value) = value {
            set_header(headers, name, &value, template.literal().is_none())?;
            if value.is_empty() {
                headers.remove(name);
            }
        }
    }
    Ok(())
}

/// Sets a header. A secret one is marked, so that no `Debug` shows it.
pub(crate) fn set_header(
    headers: &mut HeaderMap,
    name: &str,
    value: &str,
    is_secret: bool,
) -> Result<(), RequestError> {
    let bad = || RequestError::BadHeader(name.to_owned());
    let header = HeaderName::try_from(name).map_err(|_| bad())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
    value.set_sensitive(is_secret);
    headers.insert(header, value);
    Ok(())
}
