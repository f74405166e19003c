//! Requests that sign their URL and form. The expected signatures are those of twilio-node (npm twilio 6.3.1, `spec/validation.spec.js`
//! and `getExpectedTwilioSignature`), of twilio-python 9.13.0, and of Twilio's documentation.

use super::sent::Sent;
use signature::Refused;

const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const FORM: &str =
    "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
const JSON: &str = r#"{"property": "value", "boolean": true}"#;
const JSON_HASH: &str = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
const SETTINGS: &str = "X-Twilio-Webhooks-Signature-Settings";

fn signed(url: &str, body: &str, signature: &str) -> Sent {
    let sent = Sent::to("twilio", body).url(url).secret("12345");
    sent.form().header("X-Twilio-Signature", signature)
}

#[test]
fn the_vectors_of_the_documents_are_accepted() {
    let duplicates = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
    let documented = FORM.replace("%2B14158675309", "%2B14158675310");
    let http = URL.replace("https", "http");
    let ported = |port: &str| http.replace(".com", &format!(".com:{port}"));
    for (url, body, signature) in [
        (URL, FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL, FORM, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (
            &URL.replace(".com", ".com:443"),
            FORM,
            "kvajT1Ptam85bY51eRf/AJRuM3w=",
        ),
        (
            &URL.replace(".com", ".com:443"),
            FORM,
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        ),
        (
            &URL.replace(".com", ".com:1234"),
            FORM,
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        ),
        (&http, FORM, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (&ported("80"), FORM, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (&http, FORM, "OyGYPqTF6ztdbRNCvuQO/oPvqQ4="),
        (&ported("1234"), FORM, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (
            &format!("{URL}&Body=It's+amazing"),
            FORM,
            "TfZzewPq8wqrGlMfyAud8+/IvJ0=",
        ),
        (URL, duplicates, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (
            "https://example.com/myapp.php?foo=1&bar=2",
            &documented,
            "L/OH5YylLD5NRKLltdqwSvS0BnU=",
        ),
        (
            "https://a.example/x",
            "a=1&B=2&_c=3",
            "TTET1NaQjq/WCGX/jDLHfx4EYLI=",
        ),
    ] {
        signed(url, body, signature).accepted();
    }
}

#[test]
fn a_port_that_the_url_does_not_have_is_not_added_unless_it_is_the_default() {
    // The signature of the URL with :1234.
    let http = URL.replace("https", "http");
    signed(&http, FORM, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=").refused(Refused::WrongSignature);
}

#[test]
fn a_body_that_is_no_form_is_signed_by_its_hash_in_the_url() {
    let json = |url: &str, body: &str, signature: &str| Sent {
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-twilio-signature".to_owned(), signature.to_owned()),
        ],
        ..signed(url, body, signature)
    };
    let url = format!("{URL}&bodySHA256={JSON_HASH}");
    let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
    json(&url, JSON, signature).accepted();
    let short = format!("https://mycompany.com/myapp.php?bodySHA256={JSON_HASH}");
    json(&short, JSON, "y77kIzt2vzLz71DgmJGsen2scGs=").accepted();
    // Another body; a hash that is there twice; a form beside the hash; none at all.
    json(&url, &JSON.replace("true", "false"), signature).refused(Refused::BodyNotSigned);
    json(&format!("{url}&bodySHA256={JSON_HASH}"), JSON, signature).refused(Refused::BodyNotSigned);
    json(URL, JSON, "RSOYDt4T1cUTdK1PDd93/VVr8B8=").refused(Refused::BodyNotSigned);
    Sent {
        body: FORM.into(),
        ..signed(&url, FORM, signature)
    }
    .refused(Refused::BodyNotSigned);
}

/// The token is `8f` sixteen times.
#[test]
fn forms_of_every_script_and_the_empty_one_are_accepted() {
    const BODY: &str = "ToCountry=US&ToState=CA&SmsMessageSid=SM0123456789abcdef0123456789abcdef&NumMedia=0&ToCity=&FromZip=94105&SmsSid=SM0123456789abcdef0123456789abcdef&FromState=CA&SmsStatus=received&FromCity=SAN+FRANCISCO&Body=Gr%C3%BC%C3%9Fe+%F0%9F%91%8B+a%26b%3Dc%2Bd+%2520+&FromCountry=US&To=%2B15005550006&MessagingServiceSid=MG0123456789abcdef0123456789abcdef&ToZip=&NumSegments=1&MessageSid=SM0123456789abcdef0123456789abcdef&AccountSid=AC0123456789abcdef0123456789abcdef&From=%2B14155550100&ApiVersion=2010-04-01";
    let url = "https://hooks.example.com/webhooks/twilio/conn_1/messages";
    let token = "8f".repeat(16);
    let sent = |url: &str, body: &str, signature: &str| {
        let sent = Sent::to("twilio", body).url(url).form();
        sent.header("X-Twilio-Signature", signature)
    };
    sent(url, BODY, "lI07w794aL+6RpzDIxcP++tZXpU=")
        .secret(&token)
        .accepted();
    sent(url, "", "ZYEP+VLAhV3/zgGH5Xv7i5hEXkg=")
        .secret(&token)
        .accepted();
    sent(url, BODY, "SCAYEE8emHk8iQx7G/tJ0B9PR2xix2IQ7xRFWAXz4zI=")
        .header(SETTINGS, "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
        .stored(&token, Some("webhooks_sharedkey_1"))
        .accepted();
    let get = format!("{url}?From=%2B14155550100&Body=hi%20there&To=%2B15005550006");
    Sent::to("twilio", "")
        .method("GET")
        .url(&get)
        .header("X-Twilio-Signature", "i53PvLPp20eqPXqWQDvkWdsGt5o=")
        .secret(&token)
        .accepted();
}

/// As in the tests of twilio-node: a quote is signed as it is, or encoded.
#[test]
fn a_query_is_accepted_in_the_spellings_that_are_signed() {
    let url = |quote: &str| format!("https://example.com/path?test=param{quote}WithQuote");
    // Base64 of HMAC-SHA1 of the URL with the key s3cr3t, by twilio-node.
    for (of, signature) in [
        ("'", "GfI7onHX/KQ2k1oVS3cUTVk4IEw="),
        ("%27", "HkuXLxVQ7zHv9LmGpzlLuGaxhJY="),
    ] {
        for received in ["'", "%27"] {
            let sent = Sent::to("twilio", "")
                .method("GET")
                .url(&url(received))
                .secret("s3cr3t");
            let sent = sent.header("X-Twilio-Signature", signature);
            // The plain quote is the legacy form of the encoded one.
            assert!(
                sent.verify().is_ok(),
                "signed with {of}, received with {received}"
            );
            let other = Sent {
                url: sent.url.replace("Quote", "Quota"),
                ..sent
            };
            other.refused(Refused::WrongSignature);
        }
    }
}

const CALLBACK: &str = "From=%2B15550100001&To=%2B15550100002&MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=delivered&SmsSid=SM0123456789abcdef0123456789abcdef&SmsStatus=delivered&AccountSid=AC0123456789abcdef0123456789abcdef&ApiVersion=2010-04-01&RawDlrDoneDate=2601011200&Empty=";

fn by_shared_key(settings: &str) -> Sent {
    // By twilio-node, with the key `a` thirty-two times.
    Sent::to("twilio", CALLBACK)
        .form()
        .header(
            "X-Twilio-Signature",
            "VOvLSlJ6pJ0giSP0aZWDEJ4MxtORm3HJlKejXflfOXE=",
        )
        .header(SETTINGS, settings)
}

fn by_auth_token() -> Sent {
    Sent::to("twilio", CALLBACK)
        .form()
        .header("X-Twilio-Signature", "trzzI2j4VbGKyJG79wNcxEH64Yo=")
}

#[test]
fn a_shared_key_is_chosen_by_the_header_that_names_it() {
    let key = "a".repeat(32);
    let sent = by_shared_key("key=webhooks_sharedkey_2,algorithm=HMAC_SHA256");
    sent.clone()
        .stored("b", Some("webhooks_sharedkey_1"))
        .stored(&key, Some("webhooks_sharedkey_2"))
        .accepted();
    sent.clone().stored(&key, None).accepted();
    sent.clone()
        .stored(&key, Some("webhooks_sharedkey_1"))
        .refused(Refused::NoSecret);
    // The auth token is no shared key.
    sent.secret(&key).refused(Refused::NoSecret);
}

#[test]
fn an_unknown_algorithm_is_refused() {
    let key = "a".repeat(32);
    for settings in [
        "key=k,algorithm=HMAC_MD5",
        "key=k,algorithm=HMAC_SHA1",
        "key=k,algorithm=HMAC_SHA256,algorithm=NONE",
        "key=k",
        "",
    ] {
        let sent = by_shared_key(settings).stored(&key, Some("k")).secret(&key);
        sent.refused(Refused::UnknownScheme);
    }
    let twice = by_shared_key("key=k,algorithm=HMAC_SHA256").header(SETTINGS, "key=k,algorithm=HMAC_SHA256");
    twice.stored(&key, Some("k")).refused(Refused::UnknownScheme);
}

#[test]
fn a_missing_header_does_not_downgrade_a_connection_with_a_shared_key() {
    let key = "a".repeat(32);
    by_auth_token().secret(&key).accepted();
    by_auth_token()
        .secret(&key)
        .stored("another", Some("k"))
        .refused(Refused::Downgrade);
    by_auth_token().refused(Refused::NoSecret);
}

/// Event Streams, by twilio-node (`validateRequestWithBody`).
#[test]
fn a_batch_of_events_is_signed_by_its_hash() {
    let body = r#"[{"specversion":"1.0","type":"com.twilio.messaging.message.delivered","source":"/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages/SM0123456789abcdef0123456789abcdef.json","id":"EZ0123456789abcdef0123456789abcdef","dataschema":"https://events-schemas.twilio.com/Messaging.MessageStatus/4","datacontenttype":"application/json","time":"2026-01-01T12:00:00.000Z","data":{"messageSid":"SM0123456789abcdef0123456789abcdef","accountSid":"AC0123456789abcdef0123456789abcdef","messageStatus":"DELIVERED","to":"+15550100002"}}]"#;
    let hash = "544fa02efcf8936fc6c32a8d7b6e0fd61c891c2e8c1d55c9910964a6fccc780a";
    Sent::to("twilio", body)
        .url(&format!(
            "https://hooks.example.com/webhook/c_1?bodySHA256={hash}"
        ))
        .header("content-type", "application/json")
        .header("X-Twilio-Signature", "hKiXJp/YuVI2yMYHdNLWSF8mEjw=")
        .secret(&"a".repeat(32))
        .accepted();
}
