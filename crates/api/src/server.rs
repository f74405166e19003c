//! The server: threads, limits, and what stands around every route.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::{App, HttpServer, web};
use gateway::Gateway;
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt;

use crate::connect_sessions::ConnectPage;
use crate::document::Document;
use crate::edge::{self, RequestSpan};
use crate::providers::PublicUrl;
use crate::{error, methods, proxy, routes};

/// How the API is served.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Where clients reach the API, such as `https://trunkline.example.org`, for the document and the first page.
    pub public_url: Option<String>,
    /// Where people connect from a link, without a query; `/connect` of the API itself if `None`.
    pub connect_url: Option<String>,
    /// Threads that answer; the smaller of the cores and 4 if `None`.
    pub threads: Option<usize>,
    /// How long a graceful stop waits for requests under way; whole seconds count.
    pub drain: Duration,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            public_url: None,
            connect_url: None,
            threads: None,
            drain: Duration::from_secs(20),
        }
    }
}

/// Threads beyond this bring nothing: the work is the database's.
const MOST_THREADS: usize = 4;

/// Serves the API on `listener` until the server is stopped by its handle; signals are the binary's.
pub fn serve(gateway: Gateway, listener: TcpListener, options: ApiOptions) -> std::io::Result<Server> {
    let ApiOptions {
        public_url,
        connect_url,
        threads,
        drain,
    } = options;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or_else(|| cores.min(MOST_THREADS)).max(1);
    let document = web::Data::from(Arc::new(Document::new(gateway.registry(), public_url.as_deref())));
    let url = match public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", listener.local_addr()?),
    };
    let own_page = || format!("{url}/connect");
    let page = web::Data::new(ConnectPage(connect_url.unwrap_or_else(own_page)));
    let url = web::Data::new(PublicUrl(url));
    let gateway = web::Data::new(gateway);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(gateway.clone())
            .app_data(document.clone())
            .app_data(page.clone())
            .app_data(url.clone())
            .app_data(web::PathConfig::default().error_handler(error::path_error))
            .into_utoipa_app()
            .configure(routes::routes)
            .into_app()
            .default_service(web::to(error::no_route))
            .wrap(from_fn(methods::check))
            .wrap(edge::cors())
            .wrap(from_fn(edge::answer))
            .wrap(TracingLogger::<RequestSpan>::new())
            .wrap(NormalizePath::trim())
            .wrap(from_fn(proxy::keep_address))
    });
    Ok(server
        .workers(threads)
        // Else the end of a streamed answer waits for the client to confirm what came before it, which takes up to 40 ms.
        .tcp_nodelay(true)
        .shutdown_timeout(drain.as_secs())
        .disable_signals()
        .listen(listener)?
        .run())
}
