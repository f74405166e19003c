//! Requests that official SDKs signed or verify. Each comment names the package and its version.

use std::time::Duration;

use super::sent::{Sent, seconds};
use domain::Timestamp;
use registry::webhooks::Algorithm;
use signature::Refused;

/// npm stripe 23.1.0: `webhooks.generateTestHeaderString`, checked with `webhooks.constructEvent`.
#[test]
fn a_list_of_pairs_with_a_time_is_accepted_within_the_tolerance() {
    let body = r#"{"id":"evt_1","object":"event","type":"charge.succeeded","data":{"object":{"id":"ch_1","note":"Grüße"}}}"#;
    let value = "t=1700000000,v1=1adf7791cbfd57ca5a0a16d9d3b06d6bf3bd7aefce9c3510f7dd2d967333d1f5";
    let sent = Sent::to("stripe", body).secret("whsec_test_secret");
    let sent = |value: &str| sent.clone().header("Stripe-Signature", value);
    let at = seconds(1_700_000_000);
    assert_eq!(sent(value).accepted().timestamp, Some(at));
    // Any v1 counts; v0 does not.
    let v0 = value.replace("v1=", "v0=");
    sent(&format!(
        "t=1700000000,v1=00,v1={}",
        value.strip_prefix("t=1700000000,v1=").unwrap()
    ))
    .accepted();
    sent(&v0).refused(Refused::NoSignature);
    // A second time could be the one that is not signed.
    sent(&format!("t=1700000001,{value}")).refused(Refused::Malformed("signature"));
    let tolerance = Duration::from_mins(5);
    sent(value).at(at.plus(tolerance)).accepted();
    sent(value).at(at.minus(tolerance)).accepted();
    sent(value)
        .at(at.plus(tolerance + Timestamp::SECOND))
        .refused(Refused::Expired);
    sent(value)
        .at(at.minus(tolerance + Timestamp::SECOND))
        .refused(Refused::Expired);
}

/// npm svix 1.99.1 and standardwebhooks 1.1.1: `sign`, which agree.
#[test]
fn a_list_of_versions_is_accepted_with_a_secret_in_base64() {
    let sent = Sent::to("resend", r#"{"type":"email.delivered","data":{"email_id":"e1"}}"#)
        .header("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
        .header("svix-timestamp", "1614265330")
        .at(seconds(1_614_265_330));
    let signed = |value: &str| sent.clone().header("svix-signature", value);
    let good = "v1,TN7kfaGo6xX7rydLJZ/eA3LOSVp3d6lMg9BR7zkqtcc=";
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    signed(good).secret(secret).accepted();
    signed(good).stored(secret, None).accepted();
    signed(good).secret("whsec_AAAA").stored(secret, None).accepted();
    signed(&format!("v1a,AAAA v1,AAAA {good}"))
        .secret(secret)
        .accepted();
    signed(&good.replace("v1,", "v2,"))
        .secret(secret)
        .refused(Refused::NoSignature);
    signed(good).secret("whsec_!").refused(Refused::BadSecret);
    signed(good).refused(Refused::NoSecret);
}

/// The vector of standard-webhooks/standard-webhooks (libraries/rust/src/lib.rs), and this crate's own signature.
#[test]
fn what_we_sign_is_accepted_by_the_same_rules() {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    let (id, at) = ("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", seconds(1_649_367_553));
    let key = signature::standard::SigningKey::parse(&secret.into()).unwrap();
    let ours = signature::standard::sign(&[key], id, at, body.as_bytes()).unwrap();
    assert_eq!(ours.signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    Sent::to("resend", body)
        .header("svix-id", &ours.id)
        .header("svix-timestamp", &ours.timestamp)
        .header("svix-signature", &ours.signature)
        .secret(secret)
        .at(at)
        .accepted();
}

/// npm @octokit/webhooks-methods 6.0.0: `sign`; the second is the example of docs.github.com.
#[test]
fn a_prefix_is_required_and_is_not_part_of_the_signature() {
    let body = r#"{"action":"opened","issue":{"id":1,"title":"Grüße","updated_at":"2026-01-01T00:00:00Z"},"repository":{"full_name":"octocat/Hello-World"}}"#;
    for (body, signature) in [
        (
            body,
            "64cc0753a7ca2f987e6b7a701facbd5b480a5f1c3c19a12bf87c0659e73b681e",
        ),
        (
            "Hello, World!",
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
    ] {
        let sent = Sent::to("github", body).secret("It's a Secret to Everybody");
        let signed = |value: &str| sent.clone().header("X-Hub-Signature-256", value);
        signed(&format!("sha256={signature}")).accepted();
        signed(&format!("sha256= {signature}")).refused(Refused::WrongSignature);
        for value in [
            signature.to_owned(),
            format!("sha1={signature}"),
            "sha256=".to_owned(),
        ] {
            signed(&value).refused(Refused::NoSignature);
        }
        let upper = signature.to_uppercase();
        signed(&format!("sha256={upper}")).refused(Refused::WrongSignature);
        sent.refused(Refused::NoSignature);
    }
}

/// npm @sendgrid/eventwebhook 8.0.0: src/eventwebhook.spec.js.
#[test]
fn a_signature_by_a_public_key_is_accepted() {
    let key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
    let signature =
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
    let body = "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\",\"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0\",\"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n";
    let sent = |body: &str, time: &str| {
        let sent = Sent::to("sendgrid", body);
        sent.header("X-Twilio-Email-Event-Webhook-Signature", signature)
            .header("X-Twilio-Email-Event-Webhook-Timestamp", time)
    };
    sent(body, "1600112502").secret(key).accepted();
    let (first, second) = key.split_at(64);
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----
{first}
{second}
-----END PUBLIC KEY-----
"
    );
    sent(body, "1600112502").stored(&pem, None).accepted();
    sent(body.trim_end(), "1600112502")
        .secret(key)
        .refused(Refused::WrongSignature);
    sent(body, "1600112503")
        .secret(key)
        .refused(Refused::WrongSignature);
    let other = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQ4LIFtWztlsF7skFqOncjD1lun4H5w8XOhyOArHW9RcIx/FfEzx6cikC/yPfUvwaX/JScE7Fc9CJD2afQ9Ok3Q==";
    sent(body, "1600112502")
        .secret(other)
        .refused(Refused::WrongSignature);
    sent(body, "1600112502")
        .secret("no key")
        .refused(Refused::BadSecret);
}

/// The older vector of sendgrid/sendgrid-nodejs (commit 31bf6a0, packages/eventwebhook/src/eventwebhook.spec.js).
#[test]
fn a_signature_by_a_public_key_is_accepted_for_an_event_without_a_list() {
    Sent::to("sendgrid", r#"{"category":"example_payload","event":"test_event","message_id":"message_id"}"#)
        .header("X-Twilio-Email-Event-Webhook-Signature", "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0=")
        .header("X-Twilio-Email-Event-Webhook-Timestamp", "1588788367")
        .secret("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==")
        .accepted();
}

/// npm @shopify/shopify-api 13.1.0: accepted by `webhooks.validate`.
#[test]
fn a_header_may_have_either_of_two_names() {
    let body = r#"{"id":820982911946154508,"email":"jon@example.com","updated_at":"2026-01-01T00:00:00-05:00","note":"Grüße"}"#;
    let signature = "Xiu74E3CzVgwe3H/wpZqfODaOuyJ0OqwnTDJqB5/aEc=";
    let sent = Sent::to("shopify", body).secret("hush");
    sent.clone().header("X-Shopify-Hmac-Sha256", signature).accepted();
    sent.clone().header("shopify-hmac-sha256", signature).accepted();
    sent.header("X-Shopify-Hmac", signature)
        .refused(Refused::NoSignature);
}

/// npm plivo 4.79.0: accepted by `validateV3Signature` (dist/utils/v3Security.js).
#[test]
fn a_sorted_query_and_every_value_of_a_form_are_signed() {
    let sent = |method: &str, url: &str, body: &str, signature: &str| {
        let sent = Sent::to("plivo", body)
            .method(method)
            .url(url)
            .form()
            .password("my_auth_token");
        sent.header("X-Plivo-Signature-V3", &format!("AAAA, {signature}"))
            .header("X-Plivo-Signature-V3-Nonce", "12345")
    };
    let done = "CallUUID=c1&CallStatus=completed";
    for (method, url, body, signature) in [
        (
            "POST",
            "https://answer.url/call",
            "CallUUID=c1&CallStatus=completed&From=15550100001&To=b&To=a&To=a",
            "ohE4b4POkWsbkUPqYv95LkKdYYkolwGokexTWOr1YRg=",
        ),
        (
            "POST",
            "https://answer.url/call?z=1&a=2&a=1",
            done,
            "EZ+9UsE39ai0ZzxAmZzPXarjmlRH5bb4NXMRhop5LYA=",
        ),
        (
            "GET",
            "https://answer.url:8443/call?z=1&a=2",
            "",
            "zRgssBAMgZekOKkOxv+UVGT8C4HdyAX16Gpaf8n62Kw=",
        ),
        (
            "POST",
            "https://answer.url/call?z=1",
            "",
            "9JzRsiEp2ud6BxT/RoXhE1p8HvhnguT/UkJ0MCZIev8=",
        ),
        (
            "GET",
            "https://answer.url/call",
            "",
            "pGd8hb3T3ahMKofdXFsIPB0f0PL2wF+zTCtFuLDysNI=",
        ),
    ] {
        let sent = sent(method, url, body, signature);
        sent.accepted();
        let other = Sent {
            url: format!("{url}/"),
            ..sent
        };
        other.refused(Refused::WrongSignature);
    }
    let repeated = sent(
        "POST",
        "https://answer.url/call",
        "CallUUID=c1&CallStatus=completed&From=15550100001&To=b&To=a",
        "ohE4b4POkWsbkUPqYv95LkKdYYkolwGokexTWOr1YRg=",
    );
    repeated.refused(Refused::WrongSignature);
    sent(
        "GET",
        "https://answer.url/call",
        done,
        "pGd8hb3T3ahMKofdXFsIPB0f0PL2wF+zTCtFuLDysNI=",
    )
    .refused(Refused::BodyNotSigned);
}

/// npm plivo 4.79.0: the first is the vector of test/utils.js, all are accepted by `validateSignature` (dist/utils/security.js).
#[test]
fn an_older_scheme_of_the_same_provider_is_accepted_by_its_own_header() {
    for (url, signature) in [
        (
            "https://answer.url",
            "ehV3IKhLysWBxC1sy8INm0qGoQYdYsHwuoKjsX7FsXc=",
        ),
        (
            "https://answer.url/sms?x=1",
            "yD96YJw8Pn9TBR8qw6mj5hp/ccBHSxj3yWp7eoHBg18=",
        ),
        (
            "https://answer.url:8443/sms",
            "WBPzDl0qSSL2FbI3yBwUEOgjimlVrOHp3Ia2psTvQR0=",
        ),
    ] {
        let sent = Sent::to("plivo", "MessageUUID=m1&Status=delivered")
            .url(url)
            .form();
        let sent = sent
            .header("X-Plivo-Signature-V2", signature)
            .password("my_auth_token");
        let verified = sent
            .clone()
            .header("X-Plivo-Signature-V2-Nonce", "12345")
            .accepted();
        assert_eq!(
            (verified.scheme, verified.nonce.as_deref()),
            (Some(1), Some("12345"))
        );
        sent.header("X-Plivo-Signature-V2-Nonce", "12346")
            .refused(Refused::WrongSignature);
    }
}

/// Computed with Python 3.11's `hmac`, since there is no SDK or no published vector.
#[test]
fn requests_that_another_library_signed_are_accepted() {
    let json = r#"{"id":"1"}"#;
    Sent::to("intercom", json)
        .header("X-Hub-Signature", "sha1=064ed8a4ab12749de928392ea09e90eb2aa23388")
        .secret("secret")
        .accepted();
    Sent::to("klaviyo", json)
        .header(
            "Klaviyo-Signature",
            "6d81083018a87a01143066bd86b59698e5e480b85ab2271313c59333aa946325",
        )
        .header("Klaviyo-Timestamp", "2026-01-01T00:00:00Z")
        .secret("secret")
        .accepted();
    Sent::to("pagerduty", json)
        .header(
            "X-PagerDuty-Signature",
            "v1=00,v1=6146142a2ce0159e84c0767881e4ec80bc397da62526e7d19f70795eb79460c0",
        )
        .stored("secret", None)
        .accepted();
    Sent::to("sentry", json)
        .header(
            "Sentry-Hook-Signature",
            "6146142a2ce0159e84c0767881e4ec80bc397da62526e7d19f70795eb79460c0",
        )
        .secret("secret")
        .accepted();
    Sent::to("notion", json)
        .header(
            "X-Notion-Signature",
            "sha256=6146142a2ce0159e84c0767881e4ec80bc397da62526e7d19f70795eb79460c0",
        )
        .stored("secret", None)
        .accepted();
    Sent::to("airtable", json)
        .header(
            "X-Airtable-Content-MAC",
            "hmac-sha256=6146142a2ce0159e84c0767881e4ec80bc397da62526e7d19f70795eb79460c0",
        )
        .secret("c2VjcmV0")
        .accepted();
    Sent::to("close", json)
        .header(
            "close-sig-hash",
            "2d04abbc254504dccd8ed499927f1d9a28c96b33ff8eea90555313a2f02493ad",
        )
        .header("close-sig-timestamp", "1700000000")
        .secret("736563726574")
        .accepted();
    Sent::to("zendesk", json)
        .header(
            "X-Zendesk-Webhook-Signature",
            "rpnlcS3JJdlBLsSzBk7qWD2qKoaWeMdVnKJHEF0SdY4=",
        )
        .header("X-Zendesk-Webhook-Signature-Timestamp", "2023-11-14T22:13:20Z")
        .secret("secret")
        .accepted();
    let mailgun = r#"{"signature":{"timestamp":"1700000000","token":"t1","signature":"c7a96c6096b80d2384b2fb965b2498d5519e3828fbd6a21acb45b9f7a97e0319"},"event-data":{"id":"e1"}}"#;
    assert_eq!(
        Sent::to("mailgun", mailgun)
            .secret("secret")
            .accepted()
            .nonce
            .as_deref(),
        Some("t1")
    );
    let lever = r#"{"signature":"9021ba040ddc9696b1710badce659e27ca3e9c510eb05ba63a24f014d9cfe6c8","token":"t1","triggeredAt":1700000000000,"event":"candidateHired"}"#;
    assert_eq!(
        Sent::to("lever", lever)
            .secret("secret")
            .accepted()
            .nonce
            .as_deref(),
        Some("t1")
    );
}

#[test]
fn where_nothing_is_signed_only_the_own_address_is_accepted() {
    let sent = Sent::to("postmark", r#"{"RecordType":"Bounce"}"#);
    assert_eq!(sent.accepted().scheme, None);
    let shared = Sent {
        own_address: false,
        ..sent.clone()
    };
    shared.refused(Refused::NeedsOwnAddress);
    // Once there are Basic credentials, they are required.
    let with_secret = sent.stored("pass:word", None);
    with_secret.refused(Refused::NoSignature);
    // Base64 of trunkline:pass:word.
    let basic = "dHJ1bmtsaW5lOnBhc3M6d29yZA==";
    for (value, good) in [
        (format!("Basic {basic}"), true),
        (format!("basic {basic}"), true),
        (format!("Bearer {basic}"), false),
        ("Basic dHJ1bmtsaW5lOnBhc3M=".to_owned(), false),
        ("Basic !".to_owned(), false),
    ] {
        let sent = with_secret.clone().header("Authorization", &value);
        assert_eq!(sent.verify().is_ok(), good, "{value}");
    }
}

#[test]
fn a_token_is_compared_as_a_whole() {
    let mut sent = Sent::to("sentry", "{}").secret("secret");
    sent.webhooks.signature[0].algorithm = Algorithm::Token;
    sent.clone().header("Sentry-Hook-Signature", "secret").accepted();
    for value in ["secre", "secret1", "Secret"] {
        sent.clone()
            .header("Sentry-Hook-Signature", value)
            .refused(Refused::WrongSignature);
    }
}
