//! The address policy: which addresses may be connected to.
//!
//! A name is resolved here and the connection is made to the addresses that this returns, so that the address checked is the address
//! connected to; a name that resolves differently a moment later gains nothing. An address written as a number never reaches a resolver,
//! so it is checked before the request, and for every redirect.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;
use url::{Host, Url};

use crate::RequestError;

/// Whether an address belongs to the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// All but the special-purpose blocks of the IANA registry (RFC 6890), multicast and the reserved class E.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This network, private, loopback, multicast, class E and broadcast.
        [0 | 10 | 127 | 224..=255, ..]
        // Shared by carriers for NAT (RFC 6598).
        | [100, 64..=127, ..]
        // Link-local, private, private.
        | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..]
        // Protocol assignments, documentation, relays of 6to4.
        | [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _]
        // Benchmarks (RFC 2544).
        | [198, 18 | 19, ..]
    )
}

/// Global unicast (2000::/3) without the blocks that have another meaning. IPv4-mapped addresses, NAT64, unique local,
/// link-local, multicast and loopback all are outside of 2000::/3.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let special = matches!(
        segments,
        // Protocol assignments, Teredo among them (2001::/23), documentation, and 6to4, which wraps an IPv4 address.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..]
        // Documentation (RFC 9637).
        | [0x3fff, 0..=0xfff, ..]
    );
    matches!(segments, [0x2000..=0x3fff, ..]) && !special
}

/// Returns whether the URL's host may be public: a public IP address, or a name with a dot. Does not resolve the name.
pub fn may_be_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(name)) => name.trim_end_matches('.').contains('.'),
        None => true,
    }
}

/// Refuses a host that is a non-public address written as a number, a name without a dot, which only a private network knows (and which
/// provider files use as a placeholder), and plain http.
pub(crate) fn check_url(url: &Url) -> Result<(), RequestError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    match (may_be_public(url), url.scheme()) {
        (false, _) => Err(RequestError::AddressRefused(host)),
        (true, "https") => Ok(()),
        (true, _) => Err(RequestError::PlainHttp(host)),
    }
}

/// No address of the name is public. A type of its own, so that it can be found among other errors.
#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
pub(crate) struct NoPublicAddress;

/// Resolves names of servers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resolver {
    /// To their public addresses only.
    Public,
    /// To all of their addresses.
    Any,
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = match resolver {
                Self::Public => only_public(found)?,
                Self::Any => found.collect(),
            };
            Ok(addresses.into_iter())
        })
    }
}

fn only_public(found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, NoPublicAddress> {
    let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
    if public.is_empty() {
        Err(NoPublicAddress)
    } else {
        Ok(public)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::unspecified("0.0.0.0")]
    #[case::this_network("0.1.2.3")]
    #[case::private_a("10.0.0.1")]
    #[case::carrier_nat("100.64.0.1")]
    #[case::carrier_nat_end("100.127.255.255")]
    #[case::loopback("127.0.0.1")]
    #[case::loopback_end("127.255.255.254")]
    #[case::metadata_service("169.254.169.254")]
    #[case::private_b("172.16.0.1")]
    #[case::private_b_end("172.31.255.255")]
    #[case::protocol("192.0.0.8")]
    #[case::documentation_1("192.0.2.1")]
    #[case::proxy("192.88.99.1")]
    #[case::private_c("192.168.1.1")]
    #[case::benchmark("198.19.0.1")]
    #[case::documentation_2("198.51.100.7")]
    #[case::documentation_3("203.0.113.9")]
    #[case::multicast("224.0.0.1")]
    #[case::reserved("240.0.0.1")]
    #[case::broadcast("255.255.255.255")]
    #[case::unspecified_6("::")]
    #[case::loopback_6("::1")]
    #[case::mapped("::ffff:8.8.8.8")]
    #[case::mapped_loopback("::ffff:127.0.0.1")]
    #[case::compatible("::7f00:1")]
    #[case::nat64("64:ff9b::a00:1")]
    #[case::nat64_local("64:ff9b:1::1")]
    #[case::discard("100::1")]
    #[case::teredo("2001::1")]
    #[case::documentation_6("2001:db8::1")]
    #[case::six_to_four("2002:a00:1::1")]
    #[case::documentation_6b("3fff::1")]
    #[case::unique_local("fd00:ec2::254")]
    #[case::link_local("fe80::1")]
    #[case::site_local("fec0::1")]
    #[case::multicast_6("ff02::1")]
    fn is_not_public(#[case] address: &str) {
        assert!(!is_public(address.parse().unwrap()));
    }

    #[rstest]
    #[case("8.8.8.8")]
    #[case("1.1.1.1")]
    #[case("100.63.255.255")]
    #[case("100.128.0.1")]
    #[case("172.15.0.1")]
    #[case("172.32.0.1")]
    #[case("192.0.1.1")]
    #[case("198.17.255.255")]
    #[case("223.255.255.255")]
    #[case("2600:1f00::1")]
    #[case("2001:4860:4860::8888")]
    #[case("2a00:1450::1")]
    fn is_public_address(#[case] address: &str) {
        assert!(is_public(address.parse().unwrap()));
    }

    #[rstest]
    #[case("https://127.0.0.1/")]
    #[case("https://2130706433/")]
    #[case("https://0x7f.1/")]
    #[case("https://0177.0.0.1/")]
    #[case("https://[::1]/")]
    #[case("https://[::ffff:127.0.0.1]/")]
    #[case("http://10.0.0.1/")]
    #[case("https://my-private-api/")]
    #[case("https://my-private-api./")]
    #[case("https://localhost/")]
    fn a_private_address_is_refused_however_it_is_written(#[case] url: &str) {
        let refused = check_url(&url.parse().unwrap());
        assert!(
            matches!(refused, Err(RequestError::AddressRefused { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn plain_http_is_refused_and_https_to_a_name_is_not() {
        assert!(matches!(
            check_url(&"http://example.com/".parse().unwrap()),
            Err(RequestError::PlainHttp { .. })
        ));
        check_url(&"https://example.com/".parse().unwrap()).unwrap();
    }

    #[test]
    fn only_the_public_addresses_of_a_host_are_used() {
        let both = ["10.0.0.1:0", "8.8.8.8:0", "[::1]:0"].map(|address| address.parse().unwrap());
        let left = only_public(both.into_iter()).unwrap();
        assert_eq!(left, ["8.8.8.8:0".parse().unwrap()]);
    }
}
