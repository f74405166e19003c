//! The server: threads, limits, and the middleware around every route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, Server};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use gateway::Gateway;
use registry::Registry;
use tokio::net::TcpStream;
use tracing_actix_web::TracingLogger;
use utoipa::openapi::Server as ServerUrl;

use crate::body::MAX_BODY;
use crate::connect_sessions::ConnectPage;
use crate::document::openapi_for;
use crate::error;
use crate::middleware::{self, RequestSpan};
use crate::nango::telemetry;
use crate::pages::Pages;
use crate::providers::PublicUrl;
use crate::request_heads::RequestHeads;
use crate::routes::Table;

/// How the API is served.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// The address of the page on which people connect, without a query; the server's own page if `None`.
    pub connect_url: Option<String>,
    /// The number of threads; the smaller of the cores and 4 if `None`.
    pub threads: Option<usize>,
    /// How long a graceful shutdown waits for requests in flight, in whole seconds.
    pub drain: Duration,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            connect_url: None,
            threads: None,
            drain: Duration::from_secs(20),
        }
    }
}

/// The default limit of threads. More bring nothing: the work is the database's.
const MOST_THREADS: usize = 4;

/// How long a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take to close after the last response.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes the pages, with the OpenAPI document of this server.
fn pages(registry: &Registry, public_url: Option<&str>) -> Pages {
    let mut document = openapi_for(registry);
    document.servers = public_url.map(|url| vec![ServerUrl::new(url)]);
    let json = serde_json::to_string(&document).unwrap_or_default();
    Pages::new(json, registry, public_url)
}

/// Returns an address that clients on this machine can use: a listener on all addresses is reached by the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Serves the API on `listener` until the server is stopped by its handle; signals are the binary's. `configure_pages` registers
/// further resources, which win over the API's.
pub fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    options: ApiOptions,
    configure_pages: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or_else(|| cores.min(MOST_THREADS)).max(1);
    let registry = &gateway.registry;
    let pages = web::Data::new(pages(registry, gateway.public_url.as_deref()));
    let table = Arc::new(Table::new(registry));
    let url = match &gateway.public_url {
        Some(url) => url.clone(),
        None => format!("http://{}", reachable(listener.local_addr()?)),
    };
    let page = web::Data::new(ConnectPage::new(options.connect_url, &url));
    let url = web::Data::new(PublicUrl(url));
    let gateway = web::Data::from(gateway);
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let address = listener.local_addr()?;
    let app = move || {
        App::new()
            .app_data(gateway.clone())
            .app_data(pages.clone())
            .app_data(page.clone())
            .app_data(url.clone())
            .app_data(web::PathConfig::default().error_handler(error::path_error))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .configure(configure_pages.clone())
            .configure(|config| table.register(config))
            .default_service(web::to(error::no_route))
            .wrap(middleware::cors())
            .wrap(from_fn(telemetry::beacons))
            .wrap(from_fn(middleware::complete))
            .wrap(TracingLogger::<RequestSpan>::new())
            .wrap(from_fn(middleware::around))
    };
    // The same as in actix's own server, except for the check of heads.
    let builder = builder.listen("api", listener, move || {
        let stopping = stopping.clone();
        let app = app().into_factory().map_err(|error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .h1_allow_half_closed(true)
            .local_addr(address)
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(async |stream: TcpStream| {
            // Otherwise the end of a streamed response waits for the client's acknowledgement, which takes up to 40 ms.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY cannot be set");
            }
            let peer = stream.peer_addr().ok();
            let (reader, writer) = stream.into_split();
            let stream = tokio::io::join(RequestHeads::new(reader), writer);
            Ok((stream, Protocol::Http1, peer))
        })
        .and_then(http)
    })?;
    Ok(builder
        .workers(threads)
        .shutdown_timeout(options.drain.as_secs())
        .disable_signals()
        .run())
}
