//! Which route a request is for, looked up once: the lookup tries the patterns of all routes, and several layers ask.

use std::rc::Rc;

use actix_web::{HttpMessage, HttpRequest};

/// What was found.
#[derive(Clone)]
struct Found(Option<Rc<str>>);

/// The pattern of the first route whose path fits, whatever its methods; `None` if none does.
pub(crate) fn of(request: &HttpRequest) -> Option<Rc<str>> {
    if let Some(found) = request.extensions().get::<Found>() {
        return found.0.clone();
    }
    let pattern = request.match_pattern().map(Rc::from);
    request.extensions_mut().insert(Found(pattern.clone()));
    pattern
}
