//! A message at one time, borrowed from the pool and the stored changes without allocation.

use serde_json::{Map, Value};

use crate::dates::rfc2822;
use crate::lifecycle::error_message;
use crate::message::{Direction, Message, Status, SubresourceUris};
use crate::plan::{Address, Body, Plan, Tag};
use crate::sid::SidCodec;

/// Changes to a message after its creation, except those by the clock.
#[derive(Debug, Clone, Default)]
#[expect(clippy::option_option, reason = "distinguishes unchanged fields from null")]
pub(crate) struct Overlay {
    pub(crate) status: Option<Status>,
    /// The message was stopped and will never be sent.
    pub(crate) stopped: bool,
    pub(crate) sent: Option<i64>,
    pub(crate) body: Option<Box<str>>,
    pub(crate) from: Option<Box<str>>,
    pub(crate) price: Option<Option<Box<str>>>,
    pub(crate) error: Option<Option<i64>>,
    pub(crate) error_message: Option<Box<str>>,
    pub(crate) media: Option<u32>,
    pub(crate) tags: Option<Box<Map<String, Value>>>,
    pub(crate) updated: Option<i64>,
}

/// A price, generated or set by a test.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Price<'a> {
    /// Hundred-thousandths, without the sign.
    Units(u32),
    Text(&'a str),
}

/// The `tags` of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tags<'a> {
    Made(Tag),
    Given(&'a Map<String, Value>),
}

/// A message at one time.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    pub(crate) account: &'a str,
    pub(crate) prefix: &'static str,
    pub(crate) digits: [u8; 32],
    pub(crate) body: Body<'a>,
    pub(crate) segments: u32,
    pub(crate) direction: Direction,
    pub(crate) from: Option<Address<'a>>,
    pub(crate) to: Address<'a>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) sent: Option<i64>,
    pub(crate) price: Option<Price<'a>>,
    pub(crate) error: Option<i64>,
    pub(crate) error_message: Option<&'a str>,
    pub(crate) media: u32,
    pub(crate) status: Status,
    pub(crate) service: Option<&'a str>,
    pub(crate) tags: Option<Tags<'a>>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(account: &'a str, codec: SidCodec, rank: u64, plan: &Plan<'a>, now: i64) -> Self {
        let state = plan.lifecycle.at(now);
        Self {
            account,
            prefix: if plan.media > 0 { "MM" } else { "SM" },
            digits: codec.digits(rank),
            body: plan.body,
            segments: if state.picked { plan.segments } else { 0 },
            direction: plan.direction,
            from: (state.picked || plan.service.is_none()).then_some(plan.from),
            to: plan.to,
            created: plan.created,
            updated: state.updated,
            sent: state.sent,
            price: state.price.map(Price::Units),
            error: state.error,
            // Twilio often omits the message.
            error_message: state
                .error
                .filter(|code| (code + plan.created) % 3 != 0)
                .and_then(error_message),
            media: plan.media,
            status: state.status,
            service: plan.service,
            tags: plan.tag.map(Tags::Made),
        }
    }

    pub(crate) fn apply(&mut self, overlay: &'a Overlay) {
        if let Some(status) = overlay.status {
            self.status = status;
            if status.is_past_sending() {
                self.error = None;
                self.error_message = None;
            }
        }
        if overlay.stopped {
            self.sent = None;
        }
        self.sent = overlay.sent.or(self.sent);
        if let Some(body) = &overlay.body {
            self.body = Body::Text(body);
        }
        if let Some(from) = &overlay.from {
            self.from = Some(Address::Text(from));
        }
        if let Some(price) = &overlay.price {
            self.price = price.as_deref().map(Price::Text);
        }
        if let Some(error) = overlay.error {
            self.error = error;
            self.error_message = error.and_then(error_message);
        }
        if let Some(words) = &overlay.error_message {
            self.error_message = Some(words);
        }
        if let Some(media) = overlay.media {
            self.media = media;
        }
        if let Some(tags) = &overlay.tags {
            self.tags = Some(Tags::Given(tags));
        }
        if let Some(updated) = overlay.updated {
            self.updated = self.updated.max(updated);
        }
    }

    pub(crate) fn sid(&self) -> String {
        format!("{}{}", self.prefix, String::from_utf8_lossy(&self.digits))
    }

    /// Returns the row as a message.
    pub(crate) fn to_message(&self) -> Message {
        let sid = self.sid();
        let uri = format!("/2010-04-01/Accounts/{}/Messages/{sid}", self.account);
        Message {
            body: Some(match self.body {
                Body::Pooled(text, number) => text.with(number),
                Body::Text(text) => text.to_owned(),
            }),
            num_segments: Some(self.segments.to_string()),
            direction: self.direction,
            from: self.from.map(Address::text),
            date_updated: Some(rfc2822(self.updated)),
            price: self.price.map(|price| match price {
                Price::Units(units) => format!("-{}.{:05}", units / 100_000, units % 100_000),
                Price::Text(text) => text.to_owned(),
            }),
            error_message: self.error_message.map(str::to_owned),
            uri: format!("{uri}.json"),
            account_sid: self.account.to_owned(),
            num_media: Some(self.media.to_string()),
            to: Some(self.to.text()),
            date_created: Some(rfc2822(self.created)),
            status: self.status,
            sid,
            date_sent: self.sent.map(rfc2822),
            messaging_service_sid: self.service.map(str::to_owned),
            error_code: self.error,
            price_unit: Some("USD".to_owned()),
            api_version: "2010-04-01".to_owned(),
            subresource_uris: SubresourceUris {
                media: format!("{uri}/Media.json"),
                feedback: Some(format!("{uri}/Feedback.json")),
            },
            tags: self.tags.map(|tags| match tags {
                Tags::Made(tag) => [
                    ("campaign", tag.campaign.to_owned()),
                    ("variant", tag.variant.to_string()),
                ]
                .into_iter()
                .map(|(key, value)| (key.to_owned(), Value::String(value)))
                .collect(),
                Tags::Given(map) => map.clone(),
            }),
        }
    }
}

impl Address<'_> {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Phone(number) => format!("+{number}"),
            Self::WhatsApp(number) => format!("whatsapp:+{number}"),
            Self::Text(text) => text.to_owned(),
        }
    }

    /// Returns whether the written form equals `text`, without writing it.
    pub(crate) fn is(self, text: &str) -> bool {
        let same = |text: &str, number: u64| {
            text.strip_prefix('+')
                .is_some_and(|digits| digits.parse() == Ok(number))
        };
        match self {
            Self::Phone(number) => same(text, number),
            Self::WhatsApp(number) => text
                .strip_prefix("whatsapp:")
                .is_some_and(|rest| same(rest, number)),
            Self::Text(own) => own == text,
        }
    }
}
