//! Clients of the proxy that stop reading.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::{AppBuilder, Dialect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// More bytes than all buffers on the way hold.
const LARGE: usize = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_is_cut_off_and_another_request_gets_its_permit() {
    let provider = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; LARGE]))
        .mount(&provider)
        .await;
    let entry = format!(
        "large:\n  display_name: Large\n  auth_mode: API_KEY\n  credentials: {{ apiKey: {{}} }}\n  limits: {{ concurrency: 1 }}\n  \
         proxy: {{ base_url: \"{}\", headers: {{ x-key: \"${{apiKey}}\" }} }}\n",
        provider.uri()
    );
    let builder = AppBuilder::default()
        .provider_file("providers.yaml", &entry)
        .upstream(|options| {
            options.allow_private_addresses = true;
            options.request_timeout = Duration::from_secs(1);
        });
    let app = builder.start(Dialect::Sqlite).await.unwrap();
    app.expect_error("Response payload stream error");
    let body = json!({ "connectionId": "mine", "apiKey": "k" });
    app.admin().post("/large/connect", &body).await.expect(201);
    let call = |wait: &str| {
        app.admin()
            .request(Method::GET, "/proxy/x")
            .header("Provider-Config-Key", "large")
            .header("Connection-Id", "mine")
            .header("Trunkline-Wait", wait)
    };
    let sample = call("0").build().unwrap();
    let place = sample.url().socket_addrs(|| None).unwrap();
    let mut socket = TcpStream::connect(place[0]).await.unwrap();
    let mut head = vec!["GET /proxy/x HTTP/1.1".to_owned(), "Host: x".to_owned()];
    for (name, value) in sample.headers() {
        head.push(format!("{name}: {}", value.to_str().unwrap()));
    }
    let head = head.join("\r\n") + "\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    socket.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    assert_eq!(call("0").send().await.unwrap().status(), 429);

    let reply = call("10").send().await.unwrap();

    assert_eq!(reply.status(), 200);
    assert_eq!(reply.bytes().await.unwrap().len(), LARGE);
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE, "the response was cut off");
}
