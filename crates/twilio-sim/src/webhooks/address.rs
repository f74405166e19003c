//! The URL of a webhook, split without normalization: the signature covers the bytes that were configured.

/// A parsed `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    scheme: &'static str,
    /// `user:password`.
    user_info: Option<String>,
    host: String,
    port: Option<String>,
    /// Path and query as configured; may be empty.
    rest: String,
    fragment: String,
}

impl Address {
    /// Returns `None` if `text` is no absolute HTTP URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => "http",
            _ if scheme.eq_ignore_ascii_case("https") => "https",
            _ => return None,
        };
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let (user_info, host_and_port) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info.to_owned()), host),
            None => (None, authority),
        };
        // The colons of an IPv6 address stand before its closing bracket.
        let after_bracket = host_and_port.rfind(']').map_or(0, |at| at + 1);
        let colon = host_and_port
            .get(after_bracket..)
            .and_then(|tail| tail.find(':'))
            .map(|at| at + after_bracket);
        let (host, port) = match colon.and_then(|at| host_and_port.split_at_checked(at)) {
            Some((host, port)) => (host, port.strip_prefix(':').map(str::to_owned)),
            None => (host_and_port, None),
        };
        let valid_port = port
            .as_deref()
            .is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        (!host.is_empty() && valid_port).then(|| Self {
            scheme,
            user_info,
            host: host.to_owned(),
            port,
            rest: rest.to_owned(),
            fragment: fragment.to_owned(),
        })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the connection overrides: the text after `#`.
    pub(crate) fn fragment(&self) -> &str {
        &self.fragment
    }

    /// Returns `scheme://host[:port]`.
    pub(crate) fn origin(&self) -> String {
        self.with_port(self.port.as_deref(), None, "")
    }

    /// Returns host and port for the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Returns user name and password, decoded.
    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        let (name, password) = self.user_info.as_deref()?.split_once(':')?;
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        Some((decode(name), decode(password)))
    }

    /// Returns path and query for the request line.
    pub(crate) fn target(&self) -> String {
        if self.rest.starts_with('/') {
            self.rest.clone()
        } else {
            format!("/{}", self.rest)
        }
    }

    /// Returns the URL as configured, without user info and fragment.
    pub(crate) fn url(&self) -> String {
        self.with_port(self.port.as_deref(), None, &self.rest)
    }

    /// Returns the URL with its user info.
    pub(crate) fn url_with_user_info(&self) -> String {
        self.with_port(self.port.as_deref(), self.user_info.as_deref(), &self.rest)
    }

    /// Returns the URL without a port.
    pub(crate) fn url_without_port(&self) -> String {
        self.with_port(None, None, &self.rest)
    }

    /// Returns the URL with its port, or the scheme's port.
    pub(crate) fn url_with_port(&self) -> String {
        let standard = if self.is_https() { "443" } else { "80" };
        let port = self.port.as_deref().unwrap_or(standard);
        self.with_port(Some(port), None, &self.rest)
    }

    /// Adds `query` to the URL's query.
    pub(crate) fn add_query(&mut self, query: &str) {
        if query.is_empty() {
            return;
        }
        let separator = match self.rest.split_once('?') {
            None => "?",
            Some((_, before)) if before.is_empty() || before.ends_with('&') => "",
            Some(_) => "&",
        };
        self.rest = format!("{}{separator}{query}", self.rest);
    }

    fn with_port(&self, port: Option<&str>, user_info: Option<&str>, rest: &str) -> String {
        let (scheme, host) = (self.scheme, &self.host);
        let user_info = user_info.map_or_else(String::new, |user_info| format!("{user_info}@"));
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{scheme}://{user_info}{host}{port}{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_bytes_and_loses_its_fragment() {
        let address = Address::parse("https://u:p%40w@a.example:8443/x'y?q=it's#rc=5&rp=all").unwrap();
        assert_eq!(address.url(), "https://a.example:8443/x'y?q=it's");
        assert_eq!(
            address.url_with_user_info(),
            "https://u:p%40w@a.example:8443/x'y?q=it's"
        );
        assert_eq!(address.url_without_port(), "https://a.example/x'y?q=it's");
        assert_eq!(address.credentials(), Some(("u".to_owned(), "p@w".to_owned())));
        assert_eq!(
            (address.fragment(), address.target()),
            ("rc=5&rp=all", "/x'y?q=it's".to_owned())
        );
        let bare = Address::parse("http://[::1]").unwrap();
        assert_eq!(
            (bare.origin(), bare.target(), bare.url_with_port()),
            (
                "http://[::1]".to_owned(),
                "/".to_owned(),
                "http://[::1]:80".to_owned()
            )
        );
        let port = Address::parse("http://[::1]:81?a").unwrap();
        assert_eq!(
            (port.authority(), port.target()),
            ("[::1]:81".to_owned(), "/?a".to_owned())
        );
    }

    #[test]
    fn a_query_is_added_to_the_one_that_is_there() {
        for (url, expected) in [
            ("https://a.example/x", "https://a.example/x?k=v"),
            ("https://a.example/x?", "https://a.example/x?k=v"),
            ("https://a.example/x?a=1", "https://a.example/x?a=1&k=v"),
            ("https://a.example", "https://a.example?k=v"),
        ] {
            let mut address = Address::parse(url).unwrap();
            address.add_query("k=v");
            assert_eq!(address.url(), expected);
        }
    }

    #[test]
    fn other_texts_are_no_address() {
        for text in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https://a.example:0",
            "https://a:b:c",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
