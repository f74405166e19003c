//! A webhook as it goes over the wire: URL, headers, body and signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use crate::webhooks::address::Address;
use crate::webhooks::callback::{Payload, WebhookKind, WebhookMethod};
use crate::webhooks::queue::Delivery;
use crate::webhooks::signature::{Algorithm, body_hash, sign};

/// The bytes of a parameter that need no escape in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// How to sign a webhook.
#[derive(Debug, Clone)]
pub(crate) enum Signing {
    Unsigned,
    Key {
        secret: String,
        algorithm: Algorithm,
        /// The id of a shared key; none for an auth token.
        shared_key: Option<String>,
    },
}

/// A request that is ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) method: WebhookMethod,
    pub(crate) address: Address,
    pub(crate) signed_url: String,
    pub(crate) signature: Option<String>,
    pub(crate) signature_settings: Option<String>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) authorization: Option<String>,
}

impl Wire {
    /// Signs a delivery to `address`. `basic` are credentials of a Setting.
    pub(crate) fn new(
        delivery: &Delivery,
        mut address: Address,
        signing: &Signing,
        basic: Option<&(String, String)>,
    ) -> Self {
        let callback = &delivery.callback;
        let marks = delivery.marks;
        let mut form: &[(String, String)] = &[];
        let (method, content_type, mut body) = match (&callback.payload, callback.method) {
            (Payload::Json(body), _) => {
                address.add_query(&format!("bodySHA256={}", body_hash(body)));
                (WebhookMethod::Post, "application/json", body.clone())
            }
            (Payload::Form(parameters), WebhookMethod::Get) => {
                address.add_query(&query(parameters));
                (WebhookMethod::Get, "", Vec::new())
            }
            (Payload::Form(parameters), WebhookMethod::Post) => {
                form = parameters;
                let body = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(parameters)
                    .finish();
                let kind = "application/x-www-form-urlencoded; charset=UTF-8";
                (WebhookMethod::Post, kind, body.into_bytes())
            }
        };
        let voice = callback.kind == WebhookKind::CallStatus;
        let signed_url = marks.signed_url.of(&address, voice);
        let (signature, signature_settings) = match signing {
            Signing::Unsigned => (None, None),
            Signing::Key {
                secret,
                algorithm,
                shared_key,
            } => {
                let secret = if marks.wrong_signature {
                    format!("not {secret}")
                } else {
                    secret.clone()
                };
                let settings = shared_key
                    .as_ref()
                    .map(|key| format!("key={key},algorithm={}", algorithm.name()));
                (Some(sign(&secret, &signed_url, form, *algorithm)), settings)
            }
        };
        if marks.altered {
            alter(&mut address, &mut body, method);
        }
        let at_once = basic.cloned().or_else(|| {
            let event = callback.kind == WebhookKind::Event;
            address.credentials().filter(|_| event)
        });
        Self {
            method,
            signed_url,
            signature,
            signature_settings,
            content_type,
            body: Bytes::from(body),
            authorization: at_once.map(basic_authorization),
            address,
        }
    }

    /// Returns the header for the credentials in the URL, to answer a 401.
    pub(crate) fn authorization_of_url(&self) -> Option<String> {
        self.address.credentials().map(basic_authorization)
    }
}

/// Changes the last value of a form or query, or the bytes of another body.
fn alter(address: &mut Address, body: &mut Vec<u8>, method: WebhookMethod) {
    match method {
        WebhookMethod::Get => address.add_query("Altered=1"),
        WebhookMethod::Post if body.is_empty() => body.extend_from_slice(b"Altered=1"),
        WebhookMethod::Post if body.starts_with(b"[") || body.starts_with(b"{") => body.push(b' '),
        WebhookMethod::Post => body.push(b'0'),
    }
}

fn basic_authorization((name, password): (String, String)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

fn query(parameters: &[(String, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}
