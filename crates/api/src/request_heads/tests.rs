//! What comes out of a connection, however its bytes arrive.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// What is read of a connection whose client sends these parts and then no more.
async fn handed_on(parts: Vec<Vec<u8>>) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(64);
    let sending = async move {
        for part in parts {
            // The other side may have stopped to read.
            if client.write_all(&part).await.is_err() {
                return;
            }
        }
    };
    let reading = async move {
        let mut all = Vec::new();
        RequestHeads::new(server).read_to_end(&mut all).await.unwrap();
        all
    };
    tokio::join!(sending, reading).1
}

async fn text_of(sent: &str) -> String {
    String::from_utf8(handed_on(vec![sent.as_bytes().to_vec()]).await).unwrap()
}

fn refusal(word: &str) -> String {
    format!("GET {ROUTE}{word} HTTP/1.1\r\nhost: trunkline\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn characters_that_urls_must_encode_are_encoded_only_in_the_target() {
    let sent = "GET /a\"<é>`b?q=\"ü HTTP/1.1\r\nhost: x\r\nx: \"<é>\r\n\r\n";
    let wanted = "GET /a%22%3C%C3%A9%3E%60b?q=%22%C3%BC HTTP/1.1\r\nhost: x\r\nx: \"<é>\r\n\r\n";
    assert_eq!(text_of(sent).await, wanted);
    let sent = "POST /x HTTP/1.1\r\ncontent-length: 4\r\n\r\n\"<é";
    assert_eq!(text_of(sent).await, sent);
}

#[tokio::test]
async fn a_malformed_head_becomes_a_request_for_its_error() {
    let good = "GET /first HTTP/1.1\r\nhost: x\r\n\r\n";
    let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(MAX_HEAD));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(97));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_TARGET));
    let longest = format!("GET /{}", "x".repeat(MAX_HEAD + 1));
    for (bad, word) in [
        ("GET /a b HTTP/1.1\r\n\r\n", "head"),
        ("GET / HTTP/1.1\r\nno header\r\n\r\n", "head"),
        ("GET / HTTP/2.0\r\n\r\n", "head"),
        ("G{T / HTTP/1.1\r\n\r\n", "head"),
        ("hello\r\n\r\n", "head"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "head"),
        ("GET http:// HTTP/1.1\r\n\r\n", "target"),
        ("POST / HTTP/1.1\r\ncontent-length: x\r\n\r\nbody", "length"),
        ("POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\nb", "length"),
        ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\nb", "length"),
        (
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nb",
            "length",
        ),
        (
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nb",
            "length",
        ),
        ("POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\nb", "length"),
        (large.as_str(), "large-head"),
        (many.as_str(), "large-head"),
        (long.as_str(), "long-target"),
        (longest.as_str(), "long-target"),
    ] {
        let shown: String = bad.chars().take(60).collect();
        assert_eq!(text_of(bad).await, refusal(word), "{shown}");
        let both = format!("{good}{bad}GET /after HTTP/1.1\r\n\r\n");
        assert_eq!(
            text_of(&both).await,
            format!("{good}{}", refusal(word)),
            "{shown}"
        );
        assert_eq!(<&str>::from(word.parse::<Unreadable>().unwrap()), word);
    }
}

#[tokio::test]
async fn the_input_ends_at_a_broken_chunk() {
    let head = "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    for broken in ["zz\r\nab", "+1\r\na\r\n", "\r\n", "fffffffffffffffff\r\n", "2\n"] {
        let whole = format!("{head}2\r\nab\r\n");
        let sent = format!("{whole}{broken}GET / HTTP/1.1\r\n\r\n");
        assert_eq!(text_of(&sent).await, whole, "{broken}");
    }
    for (whole, broken) in [("2\r\nab", "c\r\n0\r\n\r\n"), ("0\r\n", "x\ry\r\n\r\n")] {
        let sent = format!("{head}{whole}{broken}");
        assert_eq!(text_of(&sent).await, format!("{head}{whole}"), "{broken}");
    }
}

#[tokio::test]
async fn truncated_input_and_other_protocols_are_passed_on() {
    for sent in [
        "GET / HT",
        "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc",
        "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\0\u{1}GET \" x",
        "",
    ] {
        assert_eq!(text_of(sent).await, sent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_head_that_is_late_is_refused() {
    let (mut client, server) = tokio::io::duplex(64);
    let mut heads = RequestHeads::new(server);
    client.write_all(b"GET /slow HTTP/1.1\r\n").await.unwrap();
    let mut bytes = vec![0; 256];
    let length = heads.read(&mut bytes).await.unwrap();
    assert_eq!(bytes.get(..length).unwrap(), refusal("late").as_bytes());
}

/// Requests that are right, one after the other.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let chunk = proptest::collection::vec(any::<u8>(), 1..40).prop_map(|data| {
        [
            format!("{:x};n=v\r\n", data.len()).into_bytes(),
            data,
            b"\r\n".to_vec(),
        ]
        .concat()
    });
    let chunked = proptest::collection::vec(chunk, 0..4).prop_map(|chunks| {
        let head = b"POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        [head, chunks.concat(), b"0\r\ntrailer: 1\r\n\r\n".to_vec()].concat()
    });
    let sized = proptest::collection::vec(any::<u8>(), 0..80).prop_map(|body| {
        let head = format!("PUT /b HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    });
    let plain = Just(b"GET /a?b=%20 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec());
    proptest::collection::vec(prop_oneof![chunked, sized, plain], 1..6).prop_map(|all| all.concat())
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}

proptest! {
    #[test]
    fn requests_are_unchanged_however_their_bytes_are_split(sent in requests(), size in 1..50_usize) {
        let parts = sent.chunks(size).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(run(handed_on(parts)), sent);
    }

    #[test]
    fn any_input_ends(sent in proptest::collection::vec(any::<u8>(), 0..400)) {
        run(handed_on(vec![sent]));
    }
}
