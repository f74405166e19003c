//! The HTTP client of webhooks: plain HTTP/1.1 with kept-alive connections.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, Uri};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::webhooks::callback::WebhookMethod;
use crate::webhooks::policy::Policy;
use crate::webhooks::wire::Wire;

/// The part of a response that is kept.
const MOST_RESPONSE: usize = 16 * 1024;

/// Clients with different connect timeouts; one more than this uses the default.
const MOST_CLIENTS: usize = 32;

type RequestBody = UnsyncBoxBody<Bytes, Infallible>;
type HttpClient = Client<HttpConnector, RequestBody>;

/// A response of a receiver.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Whether a 401 asked for Basic credentials.
    pub(crate) asks_basic: bool,
    pub(crate) body: String,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection, so nothing was sent.
    Connect(String),
    /// No complete response.
    Read(String),
}

/// The clients, one for each connect timeout, because a timeout belongs to a connector.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_timeout: Mutex<HashMap<Duration, HttpClient>>,
}

impl Clients {
    /// Sends a request to `origin` and reads the response. `pause` separates the two halves of the body.
    pub(crate) async fn exchange(
        &self,
        wire: &Wire,
        origin: &str,
        headers: &[(&'static str, String)],
        policy: &Policy,
        pause: Option<Duration>,
    ) -> Result<Reply, Failure> {
        let mut request = request(wire, origin, headers, pause)
            .map_err(|error| Failure::Connect(format!("the URL cannot be requested: {error}")))?;
        let mut captured = capture_connection(&mut request);
        let client = self.client(policy.connect);
        // A body that a fault makes slow must not use up the time for the response.
        let read = policy.read + pause.unwrap_or_default();
        let late = async {
            drop(captured.wait_for_connection_metadata().await);
            tokio::time::sleep(read).await;
        };
        let exchange = async {
            let response = client.request(request).await.map_err(|error| {
                let words = causes(&error);
                if error.is_connect() {
                    Failure::Connect(words)
                } else {
                    Failure::Read(words)
                }
            })?;
            reply(response).await
        };
        tokio::select! {
            biased;
            result = exchange => result,
            () = late => Err(Failure::Read(format!("no response within {} ms", read.as_millis()))),
        }
    }

    fn client(&self, connect: Duration) -> HttpClient {
        let mut clients = self.by_timeout.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.len();
        let key = if known >= MOST_CLIENTS && !clients.contains_key(&connect) {
            Policy::default().connect
        } else {
            connect
        };
        clients
            .entry(key)
            .or_insert_with(|| {
                let mut connector = HttpConnector::new();
                connector.set_connect_timeout(Some(key));
                connector.set_nodelay(true);
                Client::builder(TokioExecutor::new())
                    .pool_timer(TokioTimer::new())
                    .pool_idle_timeout(Duration::from_secs(20))
                    .http1_title_case_headers(true)
                    .build(connector)
            })
            .clone()
    }
}

fn request(
    wire: &Wire,
    origin: &str,
    headers: &[(&'static str, String)],
    pause: Option<Duration>,
) -> Result<Request<RequestBody>, http::Error> {
    let uri: Uri = format!("{origin}{}", wire.address.target()).parse()?;
    let mut builder = Request::builder()
        .method(wire.method.as_str())
        .uri(uri)
        .header(HOST, wire.address.authority());
    for (name, value) in headers {
        builder = builder.header(*name, value);
    }
    if let Some(authorization) = &wire.authorization {
        builder = builder.header(AUTHORIZATION, authorization);
    }
    if wire.method == WebhookMethod::Post {
        builder = builder
            .header(CONTENT_TYPE, HeaderValue::from_static(wire.content_type))
            .header(CONTENT_LENGTH, wire.body.len());
    }
    builder.body(body(wire.body.clone(), pause))
}

fn body(mut whole: Bytes, pause: Option<Duration>) -> RequestBody {
    let Some(pause) = pause.filter(|_| !whole.is_empty()) else {
        return Full::new(whole).boxed_unsync();
    };
    let first = whole.split_to(whole.len() / 2);
    let halves = stream::unfold(0_u8, move |step| {
        let (first, second) = (first.clone(), whole.clone());
        async move {
            match step {
                0 => Some((Ok(Frame::data(first)), 1)),
                1 => {
                    tokio::time::sleep(pause).await;
                    Some((Ok(Frame::data(second)), 2))
                }
                _ => None,
            }
        }
    });
    StreamBody::new(halves).boxed_unsync()
}

async fn reply(response: Response<Incoming>) -> Result<Reply, Failure> {
    let status = response.status().as_u16();
    let asks_basic = status == 401
        && response
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.to_ascii_lowercase().starts_with("basic"));
    let mut body = response.into_body();
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Read(causes(&error)))?;
        if let Ok(data) = frame.into_data() {
            let room = MOST_RESPONSE - kept.len();
            kept.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        }
        if kept.len() >= MOST_RESPONSE {
            break;
        }
    }
    Ok(Reply {
        status,
        asks_basic,
        body: String::from_utf8_lossy(&kept).into_owned(),
    })
}

fn causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}
