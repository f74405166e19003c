//! The resources of this crate, and what their handlers share.

use actix_web::http::header::LOCATION;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard};

use crate::options::WebOptions;
use crate::shared::Shared;
use crate::texts::AllTexts;
use crate::{assets, connect};

/// The pages cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot read a file with texts of the pages")]
pub struct WebError(#[from] serde_saphyr::Error);

/// The pages, ready to be served.
#[derive(Clone)]
pub struct WebPages(web::Data<Shared>);

impl WebPages {
    /// Makes the pages. Links begin with the path of `public_url`.
    pub fn new(options: WebOptions, public_url: Option<&str>) -> Result<Self, WebError> {
        let path = public_url
            .and_then(|url| url::Url::parse(url).ok())
            .map(|url| url.path().trim_end_matches('/').to_owned());
        Ok(Self(web::Data::new(Shared {
            version: assets::version(&options.brand),
            brand: options.brand,
            frame_ancestors: options.frame_ancestors,
            texts: AllTexts::read()?,
            base: path.unwrap_or_default(),
        })))
    }

    /// Registers the pages. The handlers need the `Data<Gateway>` of the app.
    pub fn register(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.0.clone())
            .service(
                web::resource("/connect")
                    .route(get(connect::show))
                    .route(web::post().to(connect::submit)),
            )
            .service(web::resource("/connect.js").route(get(assets::element)))
            .service(web::resource("/assets/{name}").route(get(assets::file)))
            .service(
                web::resource("/")
                    .guard(guard::fn_guard(|context| {
                        is_nango_connect_ui(context.head().uri.query())
                    }))
                    .route(get(to_connect)),
            );
    }
}

/// A route for `GET` and `HEAD`.
fn get<F, Args>(handler: F) -> actix_web::Route
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    web::route()
        .guard(guard::Any(guard::Get()).or(guard::Head()))
        .to(handler)
}

/// Whether the query is that of Nango's front-end library, which opens its connect page at the root of the server that it is given.
fn is_nango_connect_ui(query: Option<&str>) -> bool {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.into_iter().any(|(name, _)| name == "apiURL")
}

async fn to_connect(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    let to = format!("{}/connect?{}", shared.base, request.query_string());
    HttpResponse::SeeOther().insert_header((LOCATION, to)).finish()
}
