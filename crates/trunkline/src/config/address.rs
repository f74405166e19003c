//! Parses addresses: where to listen, and where a gateway is.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::str::FromStr;

use url::{Host, Url};

use super::named;

/// The default port.
pub(crate) const DEFAULT_PORT: u16 = 3003;

/// The address that the API listens on: an IP address or a host name of this machine, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    host: Host,
    port: u16,
}

/// A text is not an address to listen on.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not an address to listen on: write HOST:PORT such as 127.0.0.1:3003 or localhost:3003, or :3003 for every address of this machine"
)]
pub(crate) struct ListenError(String);

impl Listen {
    /// The same address with another port.
    pub(crate) fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Listens on the address. A host name is looked up, except that `localhost` is 127.0.0.1, where every client finds it.
    pub(crate) fn bind(&self) -> anyhow::Result<TcpListener> {
        let bound = match &self.host {
            Host::Ipv4(ip) => TcpListener::bind((*ip, self.port)),
            Host::Ipv6(ip) => TcpListener::bind((*ip, self.port)),
            Host::Domain(name) if name == "localhost" => TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)),
            Host::Domain(name) => TcpListener::bind((name.as_str(), self.port)),
        };
        bound.map_err(|error| {
            let reason = match error.kind() {
                io::ErrorKind::AddrInUse => "another process uses it, perhaps another `trunkline serve`",
                io::ErrorKind::AddrNotAvailable => "this machine has no such address",
                io::ErrorKind::PermissionDenied => {
                    "this user is not allowed to, as usual for ports below 1024"
                }
                _ => "the system refused",
            };
            let setting = named("listen");
            anyhow::Error::from(error).context(format!(
                "cannot listen on {self}: {reason}. To choose another address, give --port, --listen or the setting {setting}"
            ))
        })
    }

    /// Returns the URL under which this machine reaches an API that listens here.
    pub(crate) fn url(&self) -> String {
        match &self.host {
            Host::Ipv4(ip) => local_url(SocketAddr::new((*ip).into(), self.port)),
            Host::Ipv6(ip) => local_url(SocketAddr::new((*ip).into(), self.port)),
            Host::Domain(name) => format!("http://{name}:{}", self.port),
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ListenError(text.to_owned());
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Self {
                host: Host::Ipv6(ip),
                port: DEFAULT_PORT,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            // An IPv6 address in brackets without a port.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (text, DEFAULT_PORT),
        };
        let host = match host {
            // As in other programs, no host means every address.
            "" if text.starts_with(':') => Host::Ipv4(Ipv4Addr::UNSPECIFIED),
            // A single number is as likely a port as an address.
            host if host.chars().all(|c| c.is_ascii_digit()) => return Err(wrong()),
            host => Host::parse(host).map_err(|_| wrong())?,
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Returns the URL under which this machine reaches an API that listens on `address`.
pub(crate) fn local_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Parses a URL of http or https, which always has a host.
pub(super) fn http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// Parses an address of http or https.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    http_url(text).ok_or_else(|| format!("{:?} is not a web address: write https://HOST", shown(text)))
}

/// Returns an address as a message may show it: the part before an @ may hold a password.
fn shown(text: &str) -> &str {
    if text.contains('@') { "this" } else { text }
}

/// Parses the address of a gateway. Without a scheme it is http on this machine and https elsewhere, since the API key is sent there.
pub(crate) fn gateway_url(text: &str) -> Result<Url, String> {
    let wrong = || {
        format!(
            "{:?} is not the address of a gateway: write http://HOST:PORT or https://HOST",
            shown(text)
        )
    };
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        let plain = Url::parse(&format!("http://{text}")).map_err(|_| wrong())?;
        let here = match plain.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        format!("{}://{text}", if here { "http" } else { "https" })
    };
    // A key belongs in TRUNKLINE_SECRET_KEY and not in an address, which is shown.
    let bare = |url: &Url| url.username().is_empty() && url.password().is_none();
    http_url(&whole).filter(bare).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_has_several_spellings() {
        for (text, shown, url) in [
            ("127.0.0.1:3003", "127.0.0.1:3003", "http://127.0.0.1:3003"),
            (":8080", "0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("localhost:3003", "localhost:3003", "http://localhost:3003"),
            ("0.0.0.0", "0.0.0.0:3003", "http://127.0.0.1:3003"),
            ("[::]:80", "[::]:80", "http://[::1]:80"),
            ("::1", "[::1]:3003", "http://[::1]:3003"),
            ("[::1]", "[::1]:3003", "http://[::1]:3003"),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(
                (listen.to_string().as_str(), listen.url().as_str()),
                (shown, url),
                "{text}"
            );
        }
        for text in [
            "",
            "3003",
            "host:port",
            "http://localhost:3003",
            "localhost:70000",
            "a b:1",
            ":",
        ] {
            let error = text.parse::<Listen>().unwrap_err().to_string();
            assert!(error.contains("localhost:3003"), "{error}");
        }
        assert_eq!(
            ":1".parse::<Listen>().unwrap().with_port(2).to_string(),
            "0.0.0.0:2"
        );
    }

    #[test]
    fn localhost_is_an_ipv4_address() {
        let listener = "localhost:0".parse::<Listen>().unwrap().bind().unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn the_error_about_an_address_in_use_names_the_ways_to_choose_another() {
        let taken = ":0".parse::<Listen>().unwrap().bind().unwrap();
        let listen: Listen = "127.0.0.1:0".parse().unwrap();
        let error = listen
            .with_port(taken.local_addr().unwrap().port())
            .bind()
            .unwrap_err();
        let message = error.to_string();
        for part in ["another process uses it", "--port", "`listen` (TRUNKLINE_LISTEN)"] {
            assert!(message.contains(part), "{message}");
        }
        let error = "192.0.2.1:0".parse::<Listen>().unwrap().bind().unwrap_err();
        assert!(error.to_string().contains("no such address"), "{error}");
    }

    #[test]
    fn the_address_of_a_gateway_needs_no_scheme() {
        for (text, url) in [
            ("localhost:3003", "http://localhost:3003/"),
            ("127.0.0.1:3003", "http://127.0.0.1:3003/"),
            ("[::1]:3003", "http://[::1]:3003/"),
            ("gateway.example.org", "https://gateway.example.org/"),
            (
                "gateway.example.org:8443/trunkline",
                "https://gateway.example.org:8443/trunkline",
            ),
            ("http://gateway:3003", "http://gateway:3003/"),
        ] {
            assert_eq!(gateway_url(text).unwrap().as_str(), url, "{text}");
        }
        for text in ["", "ftp://x", "http://", "http://me:geheim@x", "a b"] {
            assert!(gateway_url(text).is_err(), "{text}");
        }
    }
}
