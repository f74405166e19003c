//! All that the process logs, as text, so that a test can search it for secrets.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

static LOGS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Collects from now on. Ours to the finest level: what is logged only while somebody looks for a fault must hold no secret either.
pub(crate) fn capture() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let ours = [
            "api", "domain", "gateway", "registry", "store", "upstream", "vault", "worker",
        ];
        let levels: Vec<String> = ours.iter().map(|name| format!("{name}=trace")).collect();
        let filter = EnvFilter::new(format!("info,{}", levels.join(",")));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(Writer);
        // Somebody else's subscriber stays: then there is nothing here, and a test that expects lines fails.
        let _ = subscriber.try_init();
    });
}

/// What was collected so far, of all tests of the process.
pub(crate) fn text() -> String {
    String::from_utf8_lossy(&LOGS.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGS.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Writer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
