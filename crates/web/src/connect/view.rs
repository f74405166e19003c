//! The pages without a form, and what all of them have.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use gateway::Connected;
use gateway::sessions::{AllowedIntegration, SessionForms};

use super::render;
use super::request::{INTEGRATION, PageRequest};
use crate::texts::{Texts, fill};

/// What the layout of all pages shows.
pub(super) struct Layout<'a> {
    pub(super) lang: &'static str,
    pub(super) theme: Option<&'static str>,
    pub(super) display: Option<&'static str>,
    pub(super) title: String,
    pub(super) app: Option<&'a str>,
    pub(super) logo: Option<String>,
    pub(super) styles: [String; 3],
    pub(super) script: String,
    /// What the page's script sends to the embedding page.
    pub(super) event: Option<Event>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(request: &'a PageRequest<'_>, title: String) -> Self {
        let brand = &request.shared.brand;
        Self {
            lang: request.language.tag(),
            theme: request.theme(),
            display: request.display(),
            title,
            app: brand.name.as_deref(),
            logo: brand.logo().map(|_| request.asset("logo")),
            styles: ["base.css", "connect-page.css", "brand.css"].map(|name| request.asset(name)),
            script: request.asset("connect-page.js"),
            event: None,
        }
    }
}

/// What the page's script sends to the embedding page.
pub(super) enum Event {
    /// The account is connected.
    Connect { connection: String, integration: String },
    /// It is not.
    Error { kind: &'static str, message: String },
}

/// An integration in the list.
struct ListItem {
    key: String,
    name: String,
    logo: String,
    href: String,
}

impl ListItem {
    fn new(request: &PageRequest<'_>, allowed: &AllowedIntegration) -> Self {
        let key = allowed.key.as_str();
        Self {
            key: key.to_owned(),
            name: allowed.display_name.clone(),
            logo: request.logo(allowed.provider.name.as_str()),
            href: request.link(&[(INTEGRATION, key)]),
        }
    }

    /// Whether the name or the key contains the text, in upper or lower case.
    fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.name.to_lowercase().contains(&text) || self.key.to_lowercase().contains(&text)
    }
}

/// The list of integrations.
#[derive(Template)]
#[template(path = "connect/list.html")]
pub(super) struct ListPage<'a> {
    layout: Layout<'a>,
    t: &'a Texts,
    introduction: Option<String>,
    items: Vec<ListItem>,
    /// Whether the session allows nothing, with or without the search.
    is_empty: bool,
    search: &'a str,
    action: String,
    hidden: Vec<(&'static str, String)>,
}

impl<'a> ListPage<'a> {
    pub(super) fn render(
        request: &'a PageRequest<'_>,
        allowed: &[AllowedIntegration],
        search: &'a str,
    ) -> HttpResponse {
        let (t, app) = (request.texts, request.shared.brand.name.as_deref());
        let search = search.trim();
        let items = allowed.iter().map(|allowed| ListItem::new(request, allowed));
        let page = Self {
            layout: Layout::new(request, t.connect.clone()),
            t,
            introduction: app.map(|app| fill(&t.for_app, "app", app)),
            items: items.filter(|item| item.matches(search)).collect(),
            is_empty: allowed.is_empty(),
            search,
            action: request.action(),
            hidden: request.passed_on(),
        };
        render(request, StatusCode::OK, &page)
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "connect/message.html")]
pub(super) struct MessagePage<'a> {
    layout: Layout<'a>,
    t: &'a Texts,
    is_success: bool,
    /// Whether the embedding page may still send a token.
    waits_for_token: bool,
    text: &'a str,
    note: Option<String>,
    link: Option<(String, &'a str)>,
}

impl<'a> MessagePage<'a> {
    fn new(request: &'a PageRequest<'_>, title: String, text: &'a str) -> Self {
        Self {
            layout: Layout::new(request, title),
            t: request.texts,
            is_success: false,
            waits_for_token: false,
            text,
            note: None,
            link: None,
        }
    }

    fn with_error(mut self, kind: &'static str) -> Self {
        let message = self.layout.title.clone();
        self.layout.event = Some(Event::Error { kind, message });
        self
    }

    pub(super) fn no_token(request: &'a PageRequest<'_>) -> HttpResponse {
        let t = request.texts;
        let page = Self {
            waits_for_token: true,
            ..Self::new(request, t.no_token_title.clone(), &t.no_token)
        };
        render(request, StatusCode::OK, &page)
    }

    pub(super) fn expired(request: &'a PageRequest<'_>) -> HttpResponse {
        let t = request.texts;
        let page = Self::new(request, t.expired_title.clone(), &t.expired);
        let page = page.with_error("missing_connect_session_token");
        render(request, StatusCode::UNAUTHORIZED, &page)
    }

    pub(super) fn not_allowed(request: &'a PageRequest<'_>) -> HttpResponse {
        let t = request.texts;
        let page = Self {
            link: Some((request.link(&[]), t.back.as_str())),
            ..Self::new(request, t.not_allowed_title.clone(), &t.not_allowed)
        };
        render(request, StatusCode::NOT_FOUND, &page.with_error("unknown_error"))
    }

    /// The body of the form was too large, too slow or broken.
    pub(super) fn refused(request: &'a PageRequest<'_>, status: StatusCode) -> HttpResponse {
        Self::failed(request, status, &request.texts.not_received)
    }

    pub(super) fn failed(request: &'a PageRequest<'_>, status: StatusCode, text: &'a str) -> HttpResponse {
        let page = Self::new(request, request.texts.failed_title.clone(), text);
        render(request, status, &page.with_error("unknown_error"))
    }

    /// The account is connected.
    pub(super) fn connected(
        request: &'a PageRequest<'_>,
        forms: &SessionForms,
        connected: &Connected,
    ) -> HttpResponse {
        let t = request.texts;
        let lists: Vec<&str> = connected
            .unreadable
            .iter()
            .map(|(sync, _)| sync.as_str())
            .collect();
        let note = (!lists.is_empty()).then(|| fill(&t.unreadable, "lists", &lists.join(", ")));
        let mut page = Self {
            note,
            ..Self::success(request, forms)
        };
        page.layout.event = Some(Event::Connect {
            connection: connected.connection.name.to_string(),
            integration: connected.connection.integration.to_string(),
        });
        render(request, StatusCode::OK, &page)
    }

    /// The account was connected by the request before this one.
    pub(super) fn connected_before(request: &'a PageRequest<'_>, forms: &SessionForms) -> HttpResponse {
        render(request, StatusCode::OK, &Self::success(request, forms))
    }

    fn success(request: &'a PageRequest<'_>, forms: &SessionForms) -> Self {
        let t = request.texts;
        let title = match &forms.renewed {
            Some(_) => &t.reconnected,
            None => &t.connected,
        };
        let title = fill(title, "provider", &forms.integration.display_name);
        let another = || (request.link(&[]), t.another.as_str());
        Self {
            is_success: true,
            link: forms.renewed.is_none().then(another),
            ..Self::new(request, title, &t.connected_text)
        }
    }
}
