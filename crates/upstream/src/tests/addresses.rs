//! The address policy.

use registry::RenderError;
use rstest::rstest;

use super::{Fixture, max_attempts, options, redirect, status, template, upstream};
use crate::{Method, ProxyRequest, Request, RequestError, UpstreamOptions};

/// Options that allow no private address.
fn strict() -> UpstreamOptions {
    UpstreamOptions {
        allow_private_addresses: false,
        ..max_attempts(1)
    }
}

/// A provider whose file names another server, which the operator replaces by that of the test, below `path`.
async fn overridden(base_url: &str, path: &str) -> Fixture {
    let mut acme = Fixture::at(base_url, strict()).await;
    let url = format!("{}{path}", acme.server.uri()).parse().unwrap();
    acme.upstream = upstream(UpstreamOptions {
        base_urls: [("acme".parse().unwrap(), url)].into(),
        ..strict()
    });
    acme
}

fn set_config(acme: &mut Fixture, name: &str, value: &str) {
    let config = &mut acme.variables().connection_config;
    config.insert(name.to_owned(), value.to_owned());
}

fn get_from(server: &str) -> Request {
    Request {
        server: Some(server.to_owned()),
        ..Request::get("/x")
    }
}

#[rstest]
#[case::number("https://127.0.0.1:1")]
#[case::metadata("http://169.254.169.254")]
#[case::number_in_disguise("https://0x7f000001")]
#[case::six("https://[::1]")]
#[case::name_of_loopback("https://localhost:1")]
#[tokio::test]
async fn a_private_address_is_refused_by_number_and_by_name(#[case] base: &str) {
    let error = Fixture::at(base, strict()).await.get().await.unwrap_err();
    assert!(matches!(error, RequestError::AddressRefused { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn credentials_are_not_sent_over_plain_http() {
    let acme = Fixture::at("http://api.example", strict()).await;
    let error = acme.get().await.unwrap_err();
    assert!(matches!(error, RequestError::PlainHttp(host) if host == "api.example"));
}

#[tokio::test]
async fn the_operators_own_base_url_may_be_private_and_replaces_every_server() {
    let mut acme = overridden("https://api.example", "").await;
    let chat = ("chat".to_owned(), template("https://chat.example"));
    acme.provider().servers = [chat].into();
    acme.respond("GET /x", status(200)).await;
    acme.get().await.unwrap();
    acme.fetch(get_from("chat")).await.unwrap();
    assert_eq!(acme.requests().await.len(), 2);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused_although_the_override_is_private() {
    let inner = Fixture::start().await;
    for location in [
        format!("{}/secrets", inner.server.uri()),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let acme = overridden("https://api.example", "").await;
        acme.respond("GET /x", redirect(302, &location)).await;

        let fetched = acme.get().await.unwrap_err();
        let proxied = acme.proxy(ProxyRequest::new(Method::GET, "/x")).await;
        for error in [fetched, proxied.unwrap_err()] {
            assert!(matches!(error, RequestError::AddressRefused { .. }), "{error:?}");
        }
    }
    assert!(inner.requests().await.is_empty());
}

#[rstest]
#[case("evil.example/#")]
#[case("evil.example?")]
#[case("user@evil.example:443/")]
#[case("evil.example\\")]
#[tokio::test]
async fn a_value_of_a_connection_cannot_change_the_host(#[case] domain: &str) {
    let mut acme = Fixture::at("https://${connectionConfig.domain}.provider.example", strict()).await;
    set_config(&mut acme, "domain", domain);
    let error = acme.get().await.unwrap_err();
    let unfit = matches!(error, RequestError::Template(RenderError::Unfit { .. }));
    assert!(unfit, "{error:?}");
    assert!(error.to_string().contains("connection_config.domain"), "{error}");
}

#[tokio::test]
async fn a_connection_may_have_its_whole_base_url() {
    let mut acme = Fixture::at("${connectionConfig.baseUrl}", options()).await;
    acme.respond("GET /base/x", status(200)).await;
    let base = format!("{}/base/", acme.server.uri());
    set_config(&mut acme, "baseUrl", &base);
    acme.get().await.unwrap();
}

#[tokio::test]
async fn a_server_that_the_file_lacks_is_named_in_the_error() {
    let acme = Fixture::at("https://api.example", strict()).await;
    let error = acme.fetch(get_from("chat")).await.unwrap_err();
    assert!(matches!(error, RequestError::UnknownServer(name) if name == "chat"));
}

#[tokio::test]
async fn the_operators_base_url_keeps_the_path_of_the_file_unless_it_has_one() {
    for (path, requested) in [("", "GET /v1/x"), ("/", "GET /v1/x"), ("/other", "GET /other/x")] {
        let mut acme = overridden("https://${connectionConfig.accountId}.api.example/v1", path).await;
        acme.respond(requested, status(200)).await;
        set_config(&mut acme, "accountId", "a1");
        acme.get().await.unwrap();
    }
}
