//! Genuine requests of every way to sign, signed by the independent computation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use super::independent::{SHA1, base64_of, ecdsa, encoded, hex_of, url_and_form};
use super::sent::Sent;

pub(crate) const NOW: i64 = 1_700_000_000;
const JSON: &str = r#"{"id":"evt_1","type":"a.b","data":{"object":{"id":"1","amount":100}}}"#;
const URL: &str = "https://hooks.example.com/webhook/c_1?foo=1";
const FORM: [(&str, &str); 4] = [
    ("MessageSid", "SM1"),
    ("MessageStatus", "sent"),
    ("From", "+15550100001"),
    ("Note", ""),
];

/// A genuine request, and what of it is signed.
pub(crate) struct Genuine {
    pub(crate) sent: Sent,
    /// The header of the signature; empty if it is in the body.
    pub(crate) signature: &'static str,
    /// Further headers that are signed.
    pub(crate) headers: &'static [&'static str],
    pub(crate) url: bool,
    pub(crate) body: Body,
    pub(crate) tolerance: bool,
}

/// What of a body is signed.
pub(crate) enum Body {
    /// Its bytes.
    Bytes,
    /// The names and values of a form.
    Form(Vec<(String, String)>),
    /// Only these texts in it.
    Texts(&'static [&'static str]),
}

pub(crate) fn all() -> Vec<Genuine> {
    let own = hex_of("secret", JSON.as_bytes());
    let by_form = [
        by_url_and_form(false),
        by_url_and_form(true),
        by_sorted_url(),
        by_hash(),
    ];
    let by_body = [
        by_body("github", "x-hub-signature-256", &format!("sha256={own}")),
        by_body("pagerduty", "x-pagerduty-signature", &format!("v1={own}")),
        by_body("sentry", "sentry-hook-signature", &own),
    ];
    let others = [pairs(), versions(), with_time(), public_key(), unsigned_body()];
    by_form.into_iter().chain(by_body).chain(others).collect()
}

fn by_body(provider: &str, header: &'static str, value: &str) -> Genuine {
    Genuine {
        sent: Sent::to(provider, JSON).secret("secret").header(header, value),
        signature: header,
        headers: &[],
        url: false,
        body: Body::Bytes,
        tolerance: false,
    }
}

fn pairs() -> Genuine {
    let value = hex_of("secret", format!("{NOW}.{JSON}").as_bytes());
    Genuine {
        tolerance: true,
        ..by_body("stripe", "stripe-signature", &format!("t={NOW},v1={value}"))
    }
}

fn versions() -> Genuine {
    let value = base64_of(&SHA256, "secret", format!("msg_1.{NOW}.{JSON}").as_bytes());
    let mut genuine = by_body("resend", "svix-signature", &format!("v1,{value}"));
    genuine.sent.known.clear();
    let secret = format!("whsec_{}", STANDARD.encode("secret"));
    let sent = genuine.sent.secret(&secret).header("svix-id", "msg_1");
    Genuine {
        sent: sent.header("svix-timestamp", &NOW.to_string()),
        headers: &["svix-id", "svix-timestamp"],
        tolerance: true,
        ..genuine
    }
}

fn with_time() -> Genuine {
    let (header, time) = ("x-zendesk-webhook-signature-timestamp", "2023-11-14T22:13:20Z");
    let value = base64_of(&SHA256, "secret", format!("{time}{JSON}").as_bytes());
    let genuine = by_body("zendesk", "x-zendesk-webhook-signature", &value);
    Genuine {
        sent: genuine.sent.header(header, time),
        headers: &["x-zendesk-webhook-signature-timestamp"],
        tolerance: true,
        ..genuine
    }
}

fn public_key() -> Genuine {
    let (key, value) = ecdsa(format!("{NOW}{JSON}").as_bytes());
    let mut genuine = by_body("sendgrid", "x-twilio-email-event-webhook-signature", &value);
    genuine.sent.known.clear();
    let sent = genuine.sent.secret(&key);
    Genuine {
        sent: sent.header("x-twilio-email-event-webhook-timestamp", &NOW.to_string()),
        headers: &["x-twilio-email-event-webhook-timestamp"],
        ..genuine
    }
}

fn unsigned_body() -> Genuine {
    let value = hex_of("secret", format!("{NOW}tok_1").as_bytes());
    let body = format!(
        r#"{{"signature":{{"timestamp":"{NOW}","token":"tok_1","signature":"{value}"}},"event-data":{{"id":"e1"}}}}"#
    );
    Genuine {
        sent: Sent::to("mailgun", body).secret("secret"),
        body: Body::Texts(&["1700000000", "tok_1"]),
        ..by_body("mailgun", "", "")
    }
}

fn form() -> Vec<(String, String)> {
    let pairs = FORM.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pairs.to_vec()
}

fn by_url_and_form(shared_key: bool) -> Genuine {
    let hash = if shared_key { &SHA256 } else { SHA1 };
    let value = base64_of(hash, "secret", url_and_form(URL, &form()).as_bytes());
    let sent = Sent::to("twilio", encoded(&form())).url(URL).form();
    let sent = sent.header("x-twilio-signature", &value);
    let settings = "x-twilio-webhooks-signature-settings";
    Genuine {
        sent: if shared_key {
            sent.header(settings, "key=k1,algorithm=HMAC_SHA256")
                .stored("secret", Some("k1"))
        } else {
            sent.secret("secret")
        },
        headers: if shared_key {
            &["x-twilio-webhooks-signature-settings"]
        } else {
            &[]
        },
        signature: "x-twilio-signature",
        url: true,
        body: Body::Form(form()),
        tolerance: false,
    }
}

fn by_hash() -> Genuine {
    let hash = hex::encode(digest(&SHA256, JSON.as_bytes()));
    let url = format!("https://hooks.example.com/webhook/c_1?bodySHA256={hash}");
    let genuine = by_body(
        "twilio",
        "x-twilio-signature",
        &base64_of(SHA1, "secret", url.as_bytes()),
    );
    Genuine {
        sent: genuine.sent.url(&url),
        url: true,
        ..genuine
    }
}

fn by_sorted_url() -> Genuine {
    // The names are in order, and none is given twice.
    let text = url_and_form(&format!("{URL}."), &form());
    let value = base64_of(&SHA256, "secret", format!("{text}.nonce").as_bytes());
    let sent = Sent::to("plivo", encoded(&form()))
        .url(URL)
        .form()
        .password("secret");
    let sent = sent.header("x-plivo-signature-v3", &value);
    Genuine {
        sent: sent.header("x-plivo-signature-v3-nonce", "nonce"),
        signature: "x-plivo-signature-v3",
        headers: &["x-plivo-signature-v3-nonce"],
        url: true,
        body: Body::Form(form()),
        tolerance: false,
    }
}
