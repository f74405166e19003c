//! A second computation of signatures, after RFC 2104, which shares no code with the verifier.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use ring::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::sent::Sent;

pub(crate) const SHA1: &Algorithm = &SHA1_FOR_LEGACY_USE_ONLY;

/// HMAC as RFC 2104 defines it. Both hashes have blocks of 64 bytes.
fn hmac(hash: &'static Algorithm, key: &[u8], text: &[u8]) -> Vec<u8> {
    let digest = |parts: [&[u8]; 2]| {
        let mut context = Context::new(hash);
        for part in parts {
            context.update(part);
        }
        context.finish().as_ref().to_vec()
    };
    let mut block = if key.len() > 64 {
        digest([key, b""])
    } else {
        key.to_vec()
    };
    block.resize(64, 0);
    let pad = |byte: u8| -> Vec<u8> { block.iter().map(|of_key| of_key ^ byte).collect() };
    digest([&pad(0x5c), &digest([&pad(0x36), text])])
}

pub(crate) fn hex_of(key: &str, text: &[u8]) -> String {
    hex::encode(hmac(&SHA256, key.as_bytes(), text))
}

pub(crate) fn base64_of(hash: &'static Algorithm, key: &str, text: &[u8]) -> String {
    STANDARD.encode(hmac(hash, key.as_bytes(), text))
}

/// URL and form as the documentation of the scheme describes them: names in order, each with its distinct values in order.
pub(crate) fn url_and_form(url: &str, form: &[(String, String)]) -> String {
    let mut names: Vec<&String> = form.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let mut text = url.to_owned();
    for name in names {
        let of_name = form.iter().filter(|(known, _)| known == name);
        let mut values: Vec<&String> = of_name.map(|(_, value)| value).collect();
        values.sort();
        values.dedup();
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

pub(crate) fn encoded(form: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

/// Signs with a new key pair, and returns the public key as the base64 of its SPKI structure, and the signature.
pub(crate) fn ecdsa(text: &[u8]) -> (String, String) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
    let head = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
    let spki = [&head, pair.public_key().as_ref()].concat();
    (
        STANDARD.encode(spki),
        STANDARD.encode(pair.sign(&random, text).unwrap()),
    )
}

#[test]
fn the_computation_agrees_with_rfc_4231_and_2202() {
    let text = b"what do ya want for nothing?";
    let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex_of("Jefe", text), sha256);
    assert_eq!(
        hex::encode(hmac(SHA1, b"Jefe", text)),
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    );
}

proptest! {
    #[test]
    fn whatever_is_signed_by_its_body_is_accepted(secret in "\\PC{1,90}", body in prop::collection::vec(any::<u8>(), 0..300)) {
        let value = format!("sha256={}", hex_of(&secret, &body));
        let sent = Sent::to("github", body.clone()).secret(&secret);
        prop_assert!(sent.header("x-hub-signature-256", &value).verify().is_ok());
        let value = base64_of(&SHA256, &secret, &body);
        prop_assert!(Sent::to("shopify", body).secret(&secret).header("x-shopify-hmac-sha256", &value).verify().is_ok());
    }

    #[test]
    fn whatever_is_signed_with_its_time_is_accepted(body in prop::collection::vec(any::<u8>(), 0..300), offset in -300_i64..=300) {
        let time = 1_700_000_000 + offset;
        let text = [format!("{time}.").as_bytes(), &body].concat();
        let value = format!("t={time},v1={},v0=00", hex_of("whsec_a", &text));
        prop_assert!(Sent::to("stripe", body).secret("whsec_a").header("stripe-signature", &value).verify().is_ok());
    }

    #[test]
    fn whatever_is_signed_by_url_and_form_is_accepted(
        form in prop::collection::vec(("[A-Za-z_]{1,8}", "\\PC{0,12}"), 0..12),
        path in "[a-z0-9/]{0,20}",
        port in prop::option::of(1024_u16..),
    ) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let url = format!("https://hooks.example.com{port}/{path}");
        let value = base64_of(SHA1, "token", url_and_form(&url, &form).as_bytes());
        let sent = Sent::to("twilio", encoded(&form)).url(&url).form().secret("token");
        prop_assert!(sent.header("x-twilio-signature", &value).verify().is_ok());
    }

    #[test]
    fn whatever_is_signed_by_a_public_key_is_accepted(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let (key, value) = ecdsa(&[b"1700000000".as_slice(), &body].concat());
        let sent = Sent::to("sendgrid", body).secret(&key).header("X-Twilio-Email-Event-Webhook-Timestamp", "1700000000");
        prop_assert!(sent.header("X-Twilio-Email-Event-Webhook-Signature", &value).verify().is_ok());
    }
}
