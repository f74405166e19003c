//! Measures how many pages of 1000 the simulator serves a second over one connection: `cargo run --release -p twilio-sim
//! --example pages`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use twilio_sim::{SimConfig, Simulator};

const PAGES: u32 = 500;

fn main() -> anyhow::Result<()> {
    let simulator = Simulator::start(SimConfig {
        messages: 1_000_000,
        history_days: 400,
        ..SimConfig::default()
    })?;
    let known = simulator.credentials();
    let auth = STANDARD.encode(format!("{}:{}", known.account_sid, known.auth_token));
    let list = format!(
        "/2010-04-01/Accounts/{}/Messages.json?PageSize=1000",
        known.account_sid
    );
    let mut out = std::io::stdout().lock();
    for (kind, query) in [("unfiltered", ""), ("by date", "&DateSent%3C=2026-06-30")] {
        let stream = TcpStream::connect(simulator.url().trim_start_matches("http://"))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(1 << 18, stream.try_clone()?);
        let mut writer = stream;
        let (mut path, mut bytes) = (format!("{list}{query}"), 0);
        let started = Instant::now();
        for _ in 0..PAGES {
            write!(
                writer,
                "GET {path} HTTP/1.1\r\nHost: sim\r\nAuthorization: Basic {auth}\r\n\r\n"
            )?;
            let body = read_body(&mut reader)?;
            bytes += body.len();
            path = next_link(&body).context("the page has no next link")?;
        }
        let each = started.elapsed() / PAGES;
        let rate = f64::from(PAGES) / started.elapsed().as_secs_f64();
        writeln!(
            out,
            "{kind}: {rate:.0} pages of 1000 a second, {each:?} each, {} bytes a message",
            bytes / 1000 / 500
        )?;
    }
    Ok(())
}

fn read_body(reader: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// Returns the last but one field, found from the end to save time.
fn next_link(body: &[u8]) -> Option<String> {
    let tail = String::from_utf8_lossy(body.get(body.len().saturating_sub(600)..)?).into_owned();
    let (_, link) = tail.split_once("\"next_page_uri\":\"")?;
    link.split_once('"').map(|(link, _)| link.to_owned())
}
