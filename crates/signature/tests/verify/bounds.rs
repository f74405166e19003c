//! What no genuine request has is refused before it costs anything.

use super::sent::Sent;
use signature::Refused;

#[test]
fn large_parts_of_a_request_are_refused() {
    let long = "a".repeat(9_000);
    Sent::to("github", "{}")
        .url(&format!("https://a.example/{long}"))
        .refused(Refused::TooLarge("URL"));
    // A header of this size is not kept.
    let sent = Sent::to("stripe", "{}")
        .secret("s")
        .header("stripe-signature", &long);
    sent.refused(Refused::NoSignature);
    let many = format!("t=1700000000{}", ",v1=00".repeat(17));
    Sent::to("stripe", "{}")
        .secret("s")
        .header("stripe-signature", &many)
        .refused(Refused::TooLarge("signature"));
    let items = ",a=b".repeat(70);
    Sent::to("stripe", "{}")
        .secret("s")
        .header("stripe-signature", &items)
        .refused(Refused::TooLarge("signature"));
    let form = "a=b&".repeat(1_001);
    let sent = Sent::to("twilio", form)
        .form()
        .secret("s")
        .header("x-twilio-signature", "AAAA");
    sent.refused(Refused::TooLarge("form"));
}

#[test]
fn only_sixteen_secrets_are_tried() {
    let sent = |before: usize| {
        let sent = Sent::to("pagerduty", r#"{"id":"1"}"#);
        let sent = (0..before).fold(sent, |sent, index| sent.stored(&format!("wrong{index}"), None));
        let value = super::independent::hex_of("secret", br#"{"id":"1"}"#);
        sent.stored("secret", None)
            .header("X-PagerDuty-Signature", &format!("v1={value}"))
    };
    sent(15).accepted();
    sent(16).refused(Refused::WrongSignature);
}

#[test]
fn an_empty_secret_is_none() {
    let value = super::independent::hex_of("", b"{}");
    let sent = Sent::to("github", "{}").header("x-hub-signature-256", &format!("sha256={value}"));
    sent.clone()
        .secret("")
        .stored("", None)
        .refused(Refused::NoSecret);
}

#[test]
fn a_body_that_is_not_json_makes_no_trouble() {
    for body in ["", "{", "[[[[", "null", "\u{0}", &"[".repeat(100_000)] {
        Sent::to("mailgun", body)
            .secret("s")
            .refused(Refused::NoSignature);
    }
    let binary: &[u8] = &[0xff, 0xfe, 0];
    let value = super::independent::hex_of("s", binary);
    Sent::to("github", binary)
        .secret("s")
        .header("x-hub-signature-256", &format!("sha256={value}"))
        .accepted();
}

#[test]
fn a_refusal_shows_nothing_of_the_request() {
    let sent = Sent::to("github", "geheim")
        .secret("geheim")
        .header("x-hub-signature-256", "sha256=geheim");
    let refused = sent.verify().unwrap_err();
    assert_eq!(refused.code(), "wrong_signature");
    assert!(!format!("{refused} {refused:?}").contains("geheim"));
}
