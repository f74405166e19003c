//! The style sheets and scripts of the pages, which are part of the binary.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpRequest, HttpResponse, web};
use xxhash_rust::xxh3::xxh3_64;

use crate::brand::Brand;
use crate::shared::Shared;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The name of the style sheet that the configured brand makes.
const BRAND: &str = "brand.css";
/// The name of the configured logo.
const LOGO: &str = "logo";

/// Their names, types and texts.
const FILES: [(&str, &str, &str); 3] = [
    ("base.css", STYLE, include_str!("../assets/base.css")),
    (
        "connect-page.css",
        STYLE,
        include_str!("../assets/connect-page.css"),
    ),
    (
        "connect-page.js",
        SCRIPT,
        include_str!("../assets/connect-page.js"),
    ),
];

/// The script of the custom element, which apps load by the path `/connect.js`.
const ELEMENT: &str = include_str!("../assets/connect.js");

/// For an address with the version of the files: another version has another address.
const FOR_A_YEAR: &str = "public, max-age=31536000, immutable";
/// For `/connect.js`, which has no version in its address.
const FIVE_MINUTES: &str = "public, max-age=300";
/// For another version than this server's, as during an upgrade.
const NOT_AT_ALL: &str = "no-store";

/// Returns the version of the files, which is a part of their addresses.
pub(crate) fn version(brand: &Brand) -> String {
    let mut all = brand.style().into_bytes();
    for (_, _, text) in FILES {
        all.extend_from_slice(text.as_bytes());
    }
    all.extend(brand.logo().iter().flat_map(|logo| logo.bytes.iter()));
    format!("{:016x}", xxh3_64(&all))
}

/// Responds with a file.
pub(crate) async fn file(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    let is_this_version = request.query_string().strip_prefix("v=") == Some(&shared.version);
    let cache = if is_this_version { FOR_A_YEAR } else { NOT_AT_ALL };
    let name = name.as_str();
    if let Some((_, kind, text)) = FILES.iter().find(|(known, ..)| *known == name) {
        return respond(kind, cache, (*text).into());
    }
    match (name, shared.brand.logo()) {
        (BRAND, _) => respond(STYLE, cache, shared.brand.style().into()),
        (LOGO, Some(logo)) => respond(logo.content_type, cache, logo.bytes.clone()),
        _ => HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("There is no such file.\n"),
    }
}

/// Responds with the script of the custom element.
pub(crate) async fn element() -> HttpResponse {
    respond(SCRIPT, FIVE_MINUTES, ELEMENT.into())
}

fn respond(kind: &str, cache: &str, body: web::Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((CACHE_CONTROL, cache))
        // An SVG that is opened by itself runs nothing.
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        ))
        .body(body)
}
