//! Ten thousand altered requests, none of which is accepted.
//!
//! Each alteration changes something that the scheme signs. What a scheme does not sign by design is left alone: the URL of a request whose
//! body is signed, the body of one that signs only a token, and how a form and a URL are encoded.

use domain::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::genuine::{Body, Genuine, NOW, all};
use super::independent::encoded;
use super::sent::{Sent, seconds};

const ALTERED: usize = 10_000;
/// Replaces a letter or digit by another one; upper case stays upper case, since a host has none.
fn replaced(text: &str, dice: &mut StdRng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let places: Vec<usize> = (0..chars.len())
        .filter(|at| chars[*at].is_ascii_alphanumeric())
        .collect();
    if places.is_empty() {
        return format!("{text}0");
    }
    let at = places[dice.random_range(0..places.len())];
    let set: Vec<char> = match chars[at] {
        '0'..='9' => ('0'..='9').collect(),
        'A'..='Z' => ('A'..='Z').collect(),
        _ => ('a'..='z').collect(),
    };
    let others: Vec<char> = set.into_iter().filter(|c| *c != chars[at]).collect();
    chars[at] = others[dice.random_range(0..others.len())];
    chars.into_iter().collect()
}

fn altered_bytes(body: &mut Vec<u8>, dice: &mut StdRng) {
    let at = dice.random_range(0..body.len());
    match dice.random_range(0..5) {
        0 => body[at] ^= dice.random_range(1..=255_u8),
        1 => body.insert(at, dice.random_range(0..=255_u8)),
        2 => drop(body.remove(at)),
        3 => body.truncate(at),
        _ => body.extend_from_slice(b" "),
    }
}

fn altered_form(form: &[(String, String)], dice: &mut StdRng) -> Vec<(String, String)> {
    let mut form = form.to_vec();
    let at = dice.random_range(0..form.len());
    match dice.random_range(0..5) {
        0 => form[at].0 = replaced(&form[at].0, dice),
        1 => form[at].1 = replaced(&form[at].1, dice),
        2 => form[at].1.push('x'),
        3 => drop(form.remove(at)),
        _ => form.push(("Extra".to_owned(), dice.random_range(0..1_000).to_string())),
    }
    form
}

fn altered_url(url: &str, dice: &mut StdRng) -> String {
    let (base, query) = url.split_once('?').unwrap();
    match dice.random_range(0..6) {
        0 => format!("{base}?{}", replaced(query, dice)),
        1 => format!("{base}?{query}&added=1"),
        2 => base.to_owned(),
        3 => url.replacen("https://", "http://", 1),
        4 => format!("{base}/?{query}"),
        _ => {
            let path = base.strip_prefix("https://").unwrap();
            format!("https://{}?{query}", replaced(path, dice))
        }
    }
}

fn altered_value(value: &str, dice: &mut StdRng) -> String {
    match dice.random_range(0..4) {
        0 => String::new(),
        1 => value.chars().take(dice.random_range(0..value.len())).collect(),
        2 => format!("{value}A"),
        _ => replaced(value, dice),
    }
}

fn alter_signature(sent: &mut Sent, name: &str, dice: &mut StdRng) {
    if let Some(at) = sent.headers.iter().position(|(known, _)| known == name) {
        match dice.random_range(0..8) {
            0 => drop(sent.headers.remove(at)),
            1 => sent.headers.push(sent.headers[at].clone()),
            _ => sent.headers[at].1 = altered_value(&sent.headers[at].1, dice),
        }
        return;
    }
    let text = String::from_utf8(sent.body.clone()).unwrap();
    let (before, rest) = text.split_once("\"signature\":\"").unwrap();
    let (value, after) = rest.split_once('"').unwrap();
    let value = altered_value(value, dice);
    sent.body = format!("{before}\"signature\":\"{value}\"{after}").into();
}

/// Returns the request with one thing altered, and what that is.
fn altered(genuine: &Genuine, dice: &mut StdRng) -> (Sent, &'static str) {
    let mut sent = genuine.sent.clone();
    let header = |sent: &Sent, name: &str| sent.headers.iter().position(|(known, _)| known == name);
    match dice.random_range(0..8) {
        0 => {
            let methods = ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "post", ""];
            methods[dice.random_range(0..methods.len())].clone_into(&mut sent.method);
            (sent, "the method")
        }
        1 if genuine.url => {
            sent.url = altered_url(&sent.url, dice);
            (sent, "the URL")
        }
        2 if !genuine.headers.is_empty() => {
            let name = genuine.headers[dice.random_range(0..genuine.headers.len())];
            let at = header(&sent, name).unwrap();
            match dice.random_range(0..3) {
                0 => drop(sent.headers.remove(at)),
                1 => sent.headers.push((name.to_owned(), "other".to_owned())),
                _ => sent.headers[at].1 = replaced(&sent.headers[at].1, dice),
            }
            (sent, "a signed header")
        }
        3 if genuine.tolerance => {
            let far = Timestamp::SECOND * dice.random_range(301..10_000_000);
            let now = seconds(NOW);
            sent.now = if dice.random_range(0..2) == 0 {
                now.plus(far)
            } else {
                now.minus(far)
            };
            (sent, "the time")
        }
        4 => {
            for (_, secret) in &mut sent.known {
                // Another secret of the same form.
                *secret = secret.replacen('c', "d", 1).replacen("MFkw", "MFkx", 1);
            }
            sent.stored.iter_mut().for_each(|(secret, _)| secret.push('x'));
            let same = sent.known == genuine.sent.known && sent.stored == genuine.sent.stored;
            if same {
                sent.known.clear();
            }
            (sent, "the secret")
        }
        5 | 6 => {
            alter_signature(&mut sent, genuine.signature, dice);
            (sent, "the signature")
        }
        _ => {
            match &genuine.body {
                Body::Bytes => altered_bytes(&mut sent.body, dice),
                Body::Form(form) => sent.body = encoded(&altered_form(form, dice)).into(),
                Body::Texts(texts) => {
                    let text = String::from_utf8(sent.body.clone()).unwrap();
                    let signed = texts[dice.random_range(0..texts.len())];
                    sent.body = text.replacen(signed, &replaced(signed, dice), 1).into();
                }
            }
            (sent, "the body")
        }
    }
}

#[test]
fn no_altered_request_is_accepted() {
    let mut dice = StdRng::seed_from_u64(9);
    let genuine = all();
    for genuine in &genuine {
        genuine.sent.accepted();
    }

    let mut seen = std::collections::BTreeMap::new();
    for round in 0..ALTERED {
        let (sent, what) = altered(&genuine[round % genuine.len()], &mut dice);
        assert!(
            sent.verify().is_err(),
            "round {round}: {what} was altered: {sent:#?}"
        );
        *seen.entry(what).or_insert(0) += 1;
    }

    assert_eq!(seen.len(), 7, "{seen:?}");
    assert!(seen.values().all(|count| *count > 200), "{seen:?}");
}
