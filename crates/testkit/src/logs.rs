//! The log of the test process: all of it as text, and the errors of each test.
//!
//! Tests run side by side in one process and share its subscriber. An error belongs to the test in whose tokio runtime it was
//! logged. A test has such a runtime, and so has the server of each of its apps; [`TestLog::add_server`] makes that one known.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{Handle, Id as RuntimeId};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Event, Id, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Our own crates, which log to the finest level here: what only a debugging operator sees must hold no secret either.
const OURS: [&str; 8] = [
    "api", "domain", "gateway", "registry", "store", "upstream", "vault", "worker",
];

/// Every line so far, of all tests.
static TEXT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// The tests that run, by their runtimes.
static TESTS: LazyLock<Mutex<HashMap<RuntimeId, Weak<TestLog>>>> = LazyLock::new(Mutex::default);
/// The runtimes of servers that no test has added yet, by the ids of their requests.
static SERVERS: LazyLock<Mutex<HashMap<String, RuntimeId>>> = LazyLock::new(Mutex::default);

/// The errors that one test logged.
#[derive(Debug, Default)]
pub(crate) struct TestLog {
    errors: Mutex<Vec<String>>,
    expected: Mutex<Vec<String>>,
}

impl TestLog {
    /// Returns the log of the test whose runtime this is; the process's log is captured from the first call on.
    pub(crate) fn of_this_test() -> Arc<Self> {
        let ours = OURS.map(|name| format!("{name}=trace")).join(",");
        let lines = fmt::layer().with_ansi(false).with_writer(|| Text);
        // Fails after the first time, which is meant.
        drop(
            tracing_subscriber::registry()
                .with(EnvFilter::new(format!("info,{ours}")))
                .with(lines)
                .with(ErrorsByTest)
                .try_init(),
        );
        let runtime = Handle::current().id();
        Self::of_runtime(runtime).unwrap_or_else(|| {
            let log = Arc::default();
            lock(&TESTS).insert(runtime, Arc::downgrade(&log));
            log
        })
    }

    fn of_runtime(runtime: RuntimeId) -> Option<Arc<Self>> {
        lock(&TESTS).get(&runtime).and_then(Weak::upgrade)
    }

    /// Adds the runtime of the server that answered the request with this id.
    pub(crate) fn add_server(self: &Arc<Self>, request_id: &str) {
        let runtime = lock(&SERVERS)
            .remove(request_id)
            .expect("the span of the request");
        lock(&TESTS).insert(runtime, Arc::downgrade(self));
    }

    /// Allows errors whose text contains `part`.
    pub(crate) fn expect_error(&self, part: &str) {
        lock(&self.expected).push(part.to_owned());
    }

    /// Takes the errors so far that the test did not expect.
    pub(crate) fn take_unexpected(&self) -> Vec<String> {
        let expected = lock(&self.expected);
        let mut errors = std::mem::take(&mut *lock(&self.errors));
        errors.retain(|error| !expected.iter().any(|part| error.contains(part)));
        errors
    }
}

/// Returns every line so far, of all tests of the process.
pub(crate) fn text() -> String {
    String::from_utf8_lossy(&lock(&TEXT)).into_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Appends to [`TEXT`].
struct Text;

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&TEXT).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands each error to the log of its test.
struct ErrorsByTest;

impl<S: Subscriber> Layer<S> for ErrorsByTest {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if span.metadata().name() != "request" {
            return;
        }
        let mut fields = Fields::default();
        span.record(&mut fields);
        if let (Some(id), Ok(server)) = (fields.request_id, Handle::try_current())
            && TestLog::of_runtime(server.id()).is_none()
        {
            lock(&SERVERS).insert(id, server.id());
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if let Some(log) = TestLog::of_runtime(runtime.id()) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            lock(&log.errors).push(format!("{}:{}", event.metadata().target(), fields.text));
        }
    }
}

/// The fields of a span or an event as text.
#[derive(Default)]
struct Fields {
    text: String,
    request_id: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "request.id" {
            self.request_id = Some(value.to_owned());
        }
        self.record_debug(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a `String` cannot fail.
        let _ = match field.name() {
            "message" => write!(self.text, " {value:?}"),
            name => write!(self.text, " {name}={value:?}"),
        };
    }
}
