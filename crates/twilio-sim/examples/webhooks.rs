//! Measures how many webhooks the simulator sends a second to a receiver in the same process: `cargo run --release -p twilio-sim
//! --example webhooks`.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use twilio_sim::{NewMessage, Patch, SimConfig, Simulator, Status};

const MESSAGES: u32 = 20_000;

fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(&stream));
        }
    });
    let simulator = Simulator::start(SimConfig {
        messages: 0,
        local_webhooks: true,
        ..SimConfig::default()
    })?;
    let sids: Vec<String> = (0..MESSAGES)
        .map(|_| {
            simulator.insert(NewMessage {
                status_callback: Some(format!("{url}/status")),
                ..NewMessage::default()
            })
        })
        .collect();
    let started = Instant::now();
    for sid in &sids {
        simulator.patch(
            sid,
            Patch {
                status: Some(Status::Delivered),
                ..Patch::default()
            },
        );
    }
    let made = started.elapsed();
    while !simulator.webhooks_idle() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let rate = f64::from(MESSAGES) / started.elapsed().as_secs_f64();
    let log = simulator.webhooks();
    writeln!(
        std::io::stdout().lock(),
        "{rate:.0} webhooks a second; {MESSAGES} status changes in {made:?}; {:?}",
        log.by_outcome
    )?;
    Ok(())
}

/// Answers 204 to every request with a body of a known length.
fn answer(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0_u64;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = std::io::Read::take(&mut reader, length);
        std::io::copy(&mut body, &mut std::io::sink()).ok()?;
        (&*stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}
