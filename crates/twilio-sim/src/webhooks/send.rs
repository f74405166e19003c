//! Sends one webhook: signs it, retries it, and logs how it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::random::{below, draw};
use crate::webhooks::address::Address;
use crate::webhooks::callback::WebhookKind;
use crate::webhooks::client::{Failure, Reply};
use crate::webhooks::configuration::SettingSignature;
use crate::webhooks::faults::WebhookFaults;
use crate::webhooks::log::{WebhookAttempt, WebhookEntry, WebhookOutcome};
use crate::webhooks::policy::Policy;
use crate::webhooks::queue::Delivery;
use crate::webhooks::sender::Sender;
use crate::webhooks::signature::Algorithm;
use crate::webhooks::wire::{Signing, Wire};

/// Event Streams retries an event for this many milliseconds.
const EVENT_RETRIES: i64 = 4 * 3_600_000;

/// How a webhook is authenticated, signed and sent.
#[derive(Debug)]
struct Treatment {
    signing: Signing,
    basic: Option<(String, String)>,
    policy: Policy,
}

impl Sender {
    /// Sends a delivery to its end, or until it is due again.
    pub(super) async fn deliver(self: Arc<Self>, mut delivery: Delivery) {
        let callback = Arc::clone(&delivery.callback);
        let wire = self.send(&mut delivery).await;
        let status = delivery.attempts.last().and_then(|attempt| attempt.status);
        let delivered = status.is_some_and(|status| (200..300).contains(&status));
        let again = (!delivered && callback.kind == WebhookKind::Event)
            .then(|| self.next_event_attempt(&delivery))
            .flatten();
        let ended = match again {
            Some(at) => self.lock_queue().push_later(delivery, at),
            None => Some(delivery),
        };
        if let Some(delivery) = ended {
            let outcome = if delivered {
                WebhookOutcome::Delivered
            } else {
                WebhookOutcome::Failed
            };
            self.end(delivery, wire.as_ref(), outcome);
            if !delivered && let Some(fallback) = callback.fallback() {
                self.take(fallback, &WebhookFaults::default(), None);
            }
        }
        self.lock_queue().finish(&callback);
        self.wake();
    }

    /// Ends a delivery: logs it and reports it.
    pub(super) fn end(&self, delivery: Delivery, wire: Option<&Wire>, outcome: WebhookOutcome) {
        let callback = &delivery.callback;
        let entry = WebhookEntry {
            number: delivery.number,
            kind: callback.kind,
            subject: callback.subject.clone(),
            state: callback.state.clone(),
            method: wire
                .map_or(callback.method, |wire| wire.method)
                .as_str()
                .to_owned(),
            url: wire.map_or_else(|| callback.url.clone(), |wire| wire.address.url()),
            signed_url: wire.map(|wire| wire.signed_url.clone()).unwrap_or_default(),
            body: wire
                .map(|wire| String::from_utf8_lossy(&wire.body).into_owned())
                .unwrap_or_default(),
            signature: wire.and_then(|wire| wire.signature.clone()),
            signature_settings: wire.and_then(|wire| wire.signature_settings.clone()),
            idempotency_token: delivery.token,
            faults: delivery.marks.names(),
            outcome,
            attempts: delivery.attempts,
        };
        if let Some(report) = delivery.report {
            // Without a receiver, the caller has given up.
            let _ = report.send(entry.clone());
        }
        self.log().record(entry);
    }

    /// Makes the attempts that the policy allows. Returns what was sent, or nothing if the URL is invalid.
    async fn send(&self, delivery: &mut Delivery) -> Option<Wire> {
        let Some(address) = Address::parse(&delivery.callback.url) else {
            delivery.attempts.push(self.attempt(
                Instant::now(),
                Err(Failure::Connect("the URL is invalid".to_owned())),
            ));
            return None;
        };
        let destination = self.destination(&address);
        let treatment = self.treatment(delivery, &address);
        let policy = treatment.policy;
        let mut wire = Wire::new(delivery, address, &treatment.signing, treatment.basic.as_ref());
        let origin = destination.unwrap_or_else(|| wire.address.origin());
        let headers = headers(delivery, &wire);
        let pause = delivery
            .marks
            .slow
            .then(|| Duration::from_millis(delivery.marks.slow_ms));
        let deadline = tokio::time::Instant::now() + policy.total + pause.unwrap_or_default();
        let mut left = policy.retries;
        loop {
            let started = Instant::now();
            let result = if origin.starts_with("https://") {
                let words = "the simulator speaks no TLS: route the URL's origin to an http:// address";
                Err(Failure::Connect(words.to_owned()))
            } else {
                let exchange = self.clients.exchange(&wire, &origin, &headers, &policy, pause);
                tokio::time::timeout_at(deadline, exchange)
                    .await
                    .unwrap_or_else(|_| Err(Failure::Read("the total timeout has passed".to_owned())))
            };
            let challenged = matches!(&result, Ok(reply) if reply.asks_basic);
            let again = retries(&result, &policy);
            delivery.attempts.push(self.attempt(started, result));
            if challenged && wire.authorization.is_none() {
                wire.authorization = wire.authorization_of_url();
                if wire.authorization.is_some() {
                    continue;
                }
            }
            if !again || left == 0 || tokio::time::Instant::now() >= deadline {
                return Some(wire);
            }
            left -= 1;
        }
    }

    fn attempt(&self, started: Instant, result: Result<Reply, Failure>) -> WebhookAttempt {
        let (status, error, response) = match result {
            Ok(reply) => (Some(reply.status), None, reply.body),
            Err(Failure::Connect(words) | Failure::Read(words)) => (None, Some(words), String::new()),
        };
        WebhookAttempt {
            at: self.config.clock.now(),
            status,
            error,
            response,
            millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Returns the treatment of a webhook: by the Setting that a Rule names for its URL, or Twilio's default.
    fn treatment(&self, delivery: &Delivery, address: &Address) -> Treatment {
        let callback = &delivery.callback;
        let token = Signing::Key {
            secret: self
                .config
                .tokens
                .get(&callback.account)
                .cloned()
                .unwrap_or_default(),
            algorithm: Algorithm::Sha1,
            shared_key: None,
        };
        let configuration = self.configuration();
        let setting = match &callback.setting {
            Some(id) => configuration.setting(id),
            None if callback.account == self.config.main_account => {
                let bits = draw(self.config.seed, delivery.number, 0x5E77);
                configuration.setting_for(&address.url(), self.config.clock.seconds(), bits)
            }
            None => None,
        };
        let event = callback.kind == WebhookKind::Event;
        let Some(setting) = setting else {
            return Treatment {
                signing: token,
                basic: None,
                policy: if event {
                    Policy::EVENT_STREAMS
                } else {
                    Policy::of_fragment(address.fragment())
                },
            };
        };
        let signing = match &setting.signature {
            SettingSignature::AuthToken => token,
            SettingSignature::Unsigned => Signing::Unsigned,
            SettingSignature::SharedKey { id, algorithm } => Signing::Key {
                secret: configuration
                    .shared_key(id)
                    .map(|key| key.secret.clone())
                    .unwrap_or_default(),
                algorithm: *algorithm,
                shared_key: Some(id.clone()),
            },
        };
        Treatment {
            signing,
            basic: setting.basic.clone(),
            policy: if event {
                Policy::EVENT_STREAMS
            } else {
                setting.policy
            },
        }
    }

    /// Returns when a failed event is sent again: after a pause that doubles up to ten minutes, for four hours. A receiver's 400
    /// discards the event.
    fn next_event_attempt(&self, delivery: &Delivery) -> Option<i64> {
        let failed = delivery.attempts.last()?;
        if failed.status == Some(400) {
            return None;
        }
        let count = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
        let seconds = 2_u64.saturating_pow(count.min(20)).min(600);
        let bits = draw(self.config.seed, delivery.number, 0xE5E0 + u64::from(count));
        let pause = i64::try_from(seconds * 500 + below(bits, seconds * 500)).ok()?;
        let at = self.config.clock.millis().saturating_add(pause);
        (at < delivery.raised.saturating_add(EVENT_RETRIES)).then_some(at)
    }
}

/// Returns the headers that every attempt of a delivery has.
fn headers(delivery: &Delivery, wire: &Wire) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("user-agent", "TwilioProxy/1.1".to_owned()),
        ("accept", "*/*".to_owned()),
        ("i-twilio-idempotency-token", delivery.token.clone()),
        ("x-home-region", "us1".to_owned()),
    ];
    if let Some(signature) = &wire.signature {
        headers.push(("x-twilio-signature", signature.clone()));
    }
    if let Some(settings) = &wire.signature_settings {
        headers.push(("x-twilio-webhooks-signature-settings", settings.clone()));
    }
    headers
}

fn retries(result: &Result<Reply, Failure>, policy: &Policy) -> bool {
    match result {
        Ok(reply) if (400..500).contains(&reply.status) => policy.on.client_errors,
        Ok(reply) if reply.status >= 500 => policy.on.server_errors,
        Ok(_) => false,
        Err(Failure::Connect(_)) => policy.on.connect,
        Err(Failure::Read(_)) => policy.on.read,
    }
}
