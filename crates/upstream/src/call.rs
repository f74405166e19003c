//! One call to a provider.

use std::fmt;

use bytes::Bytes;
use http::Method;
use http::header::HeaderMap;

/// A call, before authorisation and the provider's own headers are added.
#[derive(Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// A name of the provider's servers; its base URL if none.
    pub server: Option<String>,
    /// Path below the server, beginning with `/`; may hold a query. Its values are escaped already.
    pub path: String,
    /// Further query parameters, plain.
    pub query: Vec<(String, String)>,
    /// Headers, which win over the provider's; those that belong to one hop, and `user-agent`, are left out.
    pub headers: HeaderMap,
    /// Headers for where neither the provider's file nor `headers` has one of that name.
    pub defaults: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
    /// Whether doing it twice is the same as doing it once, so that it may be repeated when nobody knows if it was done.
    pub idempotent: bool,
}

impl Call {
    /// A GET of `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A call of `path`, idempotent if its method is (RFC 9110, 9.2.2).
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            idempotent: method.is_idempotent(),
            method,
            server: None,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            defaults: HeaderMap::new(),
            body: None,
        }
    }
}

/// Shows the method and where it goes; a query, a header or a body may hold what nobody should read.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("server", &self.server)
            .field("path", &path)
            .field("idempotent", &self.idempotent)
            .finish_non_exhaustive()
    }
}
