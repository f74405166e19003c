//! The address policy.

use registry::RenderError;
use rstest::rstest;
use wiremock::{MockServer, ResponseTemplate};

use super::{answers, calls, options, provider, respond, responding, target, upstream};
use crate::{Request, RequestError, UpstreamOptions};

fn strict() -> UpstreamOptions {
    UpstreamOptions {
        allow_private_addresses: false,
        max_attempts: 1,
        ..options()
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
    let error = upstream(strict())
        .fetch(&target(provider(base)), Request::get("/x"))
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::AddressRefused { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn credentials_are_not_sent_over_plain_http() {
    let error = upstream(strict())
        .fetch(&target(provider("http://api.example")), Request::get("/x"))
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::PlainHttp(host) if host == "api.example"));
}

#[tokio::test]
async fn the_operators_own_base_url_may_be_private_and_replaces_every_server() {
    let server = responding(ResponseTemplate::new(200)).await;
    let mut provider = provider("https://api.example");
    provider
        .servers
        .insert("chat".to_owned(), super::template("https://chat.example"));
    let mut options = strict();
    options
        .base_urls
        .insert(provider.name.clone(), server.uri().parse().unwrap());
    let mut chat = Request::get("/x");
    chat.server = Some("chat".to_owned());

    let (upstream, target) = (upstream(options), target(provider));
    upstream.fetch(&target, Request::get("/x")).await.unwrap();
    upstream.fetch(&target, chat).await.unwrap();
    assert_eq!(calls(&server).await, 2);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused_although_the_override_is_private() {
    let (server, inner) = (MockServer::start().await, MockServer::start().await);
    let to_inner = ResponseTemplate::new(302).insert_header("location", format!("{}/secrets", inner.uri()));
    respond(&server, to_inner).await;
    let provider = provider("https://api.example");
    let mut options = strict();
    options
        .base_urls
        .insert(provider.name.clone(), server.uri().parse().unwrap());

    let error = upstream(options)
        .fetch(&target(provider), Request::get("/x"))
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::AddressRefused { .. }), "{error:?}");
    assert_eq!(calls(&inner).await, 0);
}

#[rstest]
#[case("evil.example/#")]
#[case("evil.example?")]
#[case("user@evil.example:443/")]
#[case("evil.example\\")]
#[tokio::test]
async fn a_value_of_a_connection_cannot_change_the_host(#[case] domain: &str) {
    let mut target = target(provider("https://${connectionConfig.domain}.provider.example"));
    let variables = std::sync::Arc::make_mut(&mut target.variables);
    variables
        .connection_config
        .insert("domain".to_owned(), domain.to_owned());
    let error = upstream(strict())
        .fetch(&target, Request::get("/x"))
        .await
        .unwrap_err();
    let unfit = matches!(error, RequestError::Template(RenderError::Unfit { .. }));
    assert!(unfit, "{error:?}");
    assert!(error.to_string().contains("connection_config.domain"), "{error}");
}

#[tokio::test]
async fn a_connection_may_have_its_whole_base_url() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/base/x", 9, ResponseTemplate::new(200)).await;
    let mut target = target(provider("${connectionConfig.baseUrl}"));
    let variables = std::sync::Arc::make_mut(&mut target.variables);
    variables
        .connection_config
        .insert("baseUrl".to_owned(), format!("{}/base/", server.uri()));
    upstream(options())
        .fetch(&target, Request::get("/x"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_the_file_lacks_is_named_in_the_error() {
    let mut call = Request::get("/x");
    call.server = Some("chat".to_owned());
    let error = upstream(strict())
        .fetch(&target(provider("https://api.example")), call)
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::UnknownServer(name) if name == "chat"));
}

#[tokio::test]
async fn the_operators_base_url_keeps_the_path_of_the_file_unless_it_has_one() {
    for (given, path) in [("", "/v1/x"), ("/", "/v1/x"), ("/other", "/other/x")] {
        let server = MockServer::start().await;
        answers(&server, "GET", path, 9, ResponseTemplate::new(200)).await;
        let provider = provider("https://${connectionConfig.accountId}.api.example/v1");
        let url = format!("{}{given}", server.uri()).parse().unwrap();
        let mut options = strict();
        options.base_urls.insert(provider.name.clone(), url);
        let mut target = target(provider);
        let variables = std::sync::Arc::make_mut(&mut target.variables);
        variables
            .connection_config
            .insert("accountId".to_owned(), "a1".to_owned());
        upstream(options)
            .fetch(&target, Request::get("/x"))
            .await
            .unwrap();
    }
}
