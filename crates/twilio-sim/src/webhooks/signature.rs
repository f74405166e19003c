//! Twilio's signatures: an HMAC over the URL and, of a form, each parameter in the order of the names.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The hash of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha1,
    Sha256,
}

impl Algorithm {
    /// Returns the name in the webhooks configuration API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "HMAC_SHA1",
            Self::Sha256 => "HMAC_SHA256",
        }
    }

    /// Returns the algorithm with this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256]
            .into_iter()
            .find(|one| one.name() == name)
    }
}

/// Returns the signature of a request in base64. `form` is empty for GET and for JSON bodies.
pub(crate) fn sign(secret: &str, url: &str, form: &[(String, String)], algorithm: Algorithm) -> String {
    let text = signed_text(url, form);
    match algorithm {
        Algorithm::Sha1 => STANDARD.encode(hmac::<Hmac<Sha1>>(secret, &text)),
        Algorithm::Sha256 => STANDARD.encode(hmac::<Hmac<Sha256>>(secret, &text)),
    }
}

/// Returns the hexadecimal SHA-256 of a body, the value of `bodySHA256`.
pub(crate) fn body_hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// Names in byte order, each followed by its value. Of a repeated name, each distinct value counts once, in byte order.
fn signed_text(url: &str, form: &[(String, String)]) -> String {
    let mut parameters: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in form {
        parameters.entry(name).or_default().insert(value);
    }
    let mut text = url.to_owned();
    for (name, values) in parameters {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

fn hmac<M: Mac + KeyInit>(secret: &str, text: &str) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use url::form_urlencoded;

    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const CALL: &str =
        "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
    const MESSAGE: &str = "ToCountry=US&ToState=CA&SmsMessageSid=SM0123456789abcdef0123456789abcdef&NumMedia=0&ToCity=\
        &FromZip=94105&SmsSid=SM0123456789abcdef0123456789abcdef&FromState=CA&SmsStatus=received&FromCity=SAN+FRANCISCO\
        &Body=Gr%C3%BC%C3%9Fe+%F0%9F%91%8B+a%26b%3Dc%2Bd+%2520+&FromCountry=US&To=%2B15005550006\
        &MessagingServiceSid=MG0123456789abcdef0123456789abcdef&ToZip=&NumSegments=1\
        &MessageSid=SM0123456789abcdef0123456789abcdef&AccountSid=AC0123456789abcdef0123456789abcdef\
        &From=%2B14155550100&ApiVersion=2010-04-01";
    const HASH: &str = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";

    fn parameters(form: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(form.as_bytes()).into_owned().collect()
    }

    /// Each signature is what `getExpectedTwilioSignature` of the npm package twilio 6.3.1 computes.
    #[test]
    fn signatures_equal_those_of_the_official_library() {
        let repeated = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
        let hook = "https://hooks.example.com/webhooks/twilio/conn_1/messages";
        let token = "8f".repeat(16);
        let with_hash = format!("{URL}&bodySHA256={HASH}");
        for (secret, url, form, algorithm, expected) in [
            (
                "12345",
                URL,
                CALL,
                Algorithm::Sha1,
                "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            ),
            (
                "12345",
                URL,
                CALL,
                Algorithm::Sha256,
                "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s=",
            ),
            (
                "12345",
                URL,
                repeated,
                Algorithm::Sha1,
                "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            ),
            (
                "12345",
                &with_hash,
                "",
                Algorithm::Sha1,
                "a9nBmqA0ju/hNViExpshrM61xv4=",
            ),
            (
                "12345",
                &with_hash,
                "",
                Algorithm::Sha256,
                "+UOCWf84gdgo/5Hpg4m5/EgKnJA2/TbOw5sPNVr3bPk=",
            ),
            (
                "12345",
                "https://a.example/x",
                "a=1&B=2&_c=3",
                Algorithm::Sha1,
                "TTET1NaQjq/WCGX/jDLHfx4EYLI=",
            ),
            (
                &token,
                hook,
                MESSAGE,
                Algorithm::Sha1,
                "lI07w794aL+6RpzDIxcP++tZXpU=",
            ),
            (
                &token,
                hook,
                MESSAGE,
                Algorithm::Sha256,
                "SCAYEE8emHk8iQx7G/tJ0B9PR2xix2IQ7xRFWAXz4zI=",
            ),
            (&token, hook, "", Algorithm::Sha1, "ZYEP+VLAhV3/zgGH5Xv7i5hEXkg="),
        ] {
            assert_eq!(sign(secret, url, &parameters(form), algorithm), expected, "{url}");
        }
    }

    #[test]
    fn a_body_is_hashed_as_it_is() {
        assert_eq!(body_hash(br#"{"property": "value", "boolean": true}"#), HASH);
    }
}
