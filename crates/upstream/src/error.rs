//! What can go wrong with a call.

use std::error::Error;
use std::time::Duration;

use registry::{MAX_RENDERED, RenderError};
use url::Url;

use crate::retry_after::RetryAfter;
use crate::upload::UploadError;

/// Why a call failed. Holds no secret and no body.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The host is, or resolves to, an address that is not public.
    #[error(
        "{host} is not a public address; to allow private ones, the operator sets upstream.allow_private_addresses \
         (TRUNKLINE_UPSTREAM__ALLOW_PRIVATE_ADDRESSES) to true"
    )]
    AddressRefused {
        /// The host as the address names it.
        host: String,
    },
    /// Plain http would show the credentials to everybody on the way.
    #[error(
        "{host} would be called over plain http, which shows the credentials to everyone on the way: use https, or the operator \
         allows it with upstream.allow_private_addresses (TRUNKLINE_UPSTREAM__ALLOW_PRIVATE_ADDRESSES)"
    )]
    PlainHttp {
        /// The host.
        host: String,
    },
    /// No connection came about, so nothing was done.
    #[error("{host} cannot be reached")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke under way; whether the call was carried out is not known.
    #[error("the connection to {host} broke off")]
    Broken {
        /// The host.
        host: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// One attempt took too long; whether it was carried out is not known.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// The host.
        host: String,
    },
    /// The caller stopped reading the answer, and the place that it held went to another call.
    #[error("the answer of {host} was not read in time")]
    NotRead {
        /// The host.
        host: String,
    },
    /// The caller's own body did not come to its end; what the provider made of the part that it got is not known.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The call's whole time is up.
    #[error("gave up after {attempts} attempts, since the time for the call is up")]
    DeadlineExceeded {
        /// Attempts made; 0 if no place became free under the limits.
        attempts: u32,
        /// How the last attempt failed.
        #[source]
        last: Box<RequestError>,
    },
    /// No place became free under the limits of the connection and the provider, or the provider asked to wait longer.
    #[error("other calls took all that the provider's limits give; try again in {} s", retry_after.as_secs().max(1))]
    RateLimited {
        /// When it may be worth another try.
        retry_after: Duration,
    },
    /// The response's body is too large; the rest of it was not read.
    #[error("the response of {host} is larger than {}: {advice}", size(*.limit))]
    TooLarge {
        /// The host.
        host: String,
        /// Bytes allowed, after decoding.
        limit: usize,
        /// What to do.
        advice: &'static str,
    },
    /// The memory budget had no room for the response's body in time.
    #[error("too many responses are being read at once: try again later, or raise upstream.memory_mb")]
    NoMemory {
        /// Whether the request had been sent.
        sent: bool,
    },
    /// The response's body has a content coding that we cannot take off.
    #[error(
        "the response of {host} has the content coding {coding:?}, which is not gzip, deflate, br or zstd"
    )]
    UnknownCoding {
        /// The host.
        host: String,
        /// The coding, cut short.
        coding: String,
    },
    /// The response's body is not what its content coding says.
    #[error("the response of {host} cannot be decoded as its content coding says")]
    Undecodable {
        /// The host.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// A redirect of a write that does not tell whether it was carried out.
    #[error(
        "the provider answered {status} to the {method} and points to {location}: a write is not sent on, since nothing tells whether it was carried out; call the new address"
    )]
    Moved {
        /// 301 or 302.
        status: u16,
        /// The method of the request.
        method: String,
        /// The new address without its query, cut short.
        location: String,
    },
    /// A template of the provider's file cannot be rendered with what connection and integration have.
    #[error("{}", way_out(.0))]
    Template(RenderError),
    /// A part of the request would be longer than a rendered text may be.
    #[error("{part} cannot be sent: the value of {hole} {}", too_long())]
    TextTooLong {
        /// The part of the request, such as `the query parameter "q"`.
        part: String,
        /// The hole whose value is too long.
        hole: String,
    },
    /// The integration's own configuration breaks the rules, as it may if it was stored before they were made.
    #[error(
        "the integration's integration_config.{field} cannot be used, since {problem}: make another integration"
    )]
    Integration {
        /// The key of the configuration.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The base URL that a caller asked for is none of the provider's.
    #[error(
        "{origin} is none of the provider's own servers; to allow it, the operator lists it in the setting providers.{provider}.allowed_origins"
    )]
    OverrideNotAllowed {
        /// Scheme, host and port asked for.
        origin: String,
        /// The provider.
        provider: domain::ProviderName,
    },
    /// The file and the connection's configuration do not make an address.
    #[error("the provider's address is not valid: {problem}")]
    BadUrl {
        /// What is wrong, without values.
        problem: String,
    },
    /// The provider's file has no such server.
    #[error("the provider has no server called {0:?}")]
    UnknownServer(String),
    /// A header that cannot be sent.
    #[error("the header {name:?} has a name or a value that HTTP does not allow")]
    BadHeader {
        /// Its name.
        name: String,
    },
    /// The provider said no.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Success, and yet no JSON.
    #[error("the provider answered {status} with {found} where JSON was expected")]
    NotJson {
        /// The HTTP status.
        status: u16,
        /// What the body is.
        found: UnexpectedBody,
    },
    /// A next-page link, or a redirect of a body, that leads away from the provider.
    #[error("the provider points to {host}, which is none of its own servers")]
    ForeignLink {
        /// Where it points.
        host: String,
    },
    /// Redirects without an end.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// How many are followed.
        limit: u32,
    },
    /// A page names its next page in a way that the provider's file does not expect.
    #[error("the address or token of the next page cannot be read: {at} is {found}")]
    BadNext {
        /// Where it was expected.
        at: String,
        /// What stands there.
        found: &'static str,
    },
    /// Not a cursor of this list.
    #[error("the stored place in the list does not fit the provider's file any more")]
    BadCursor,
}

impl From<RenderError> for RequestError {
    fn from(error: RenderError) -> Self {
        Self::Template(error)
    }
}

/// What is missing or wrong, and where it is set.
fn way_out(error: &RenderError) -> String {
    let (hole, what) = match error {
        RenderError::Missing { hole } => (hole, "is missing, and this call needs it".to_owned()),
        RenderError::Unfit { hole, rule } => (hole, (*rule).to_owned()),
        RenderError::NoAddress(problem) => return format!("the provider's address is not valid: {problem}"),
        RenderError::TooLong { hole } => (hole, too_long()),
    };
    match hole.split_once('.') {
        Some(("connectionConfig", name)) => format!(
            "the connection's connection_config.{name} {what}; set it with PATCH /connections/{{connection_id}}"
        ),
        Some(("integrationConfig", name)) => format!(
            "the integration's integration_config.{name} {what}; set it with PATCH /integrations/{{unique_key}}"
        ),
        Some(("metadata", _)) => {
            format!("the connection's {hole} {what}; set it with PATCH /connections/metadata")
        }
        _ => format!("the value of {hole} {what}"),
    }
}

fn too_long() -> String {
    format!("makes a text that is longer than {MAX_RENDERED} bytes: give a shorter one")
}

impl RequestError {
    /// Names what an error of a template is about, if the text would be too long.
    pub(crate) fn within(part: impl FnOnce() -> String) -> impl FnOnce(RenderError) -> Self {
        move |error| match error {
            RenderError::TooLong { hole } => Self::TextTooLong { part: part(), hole },
            error => Self::Template(error),
        }
    }

    /// What the provider said, if it did say no, also if the time was up then.
    pub fn provider(&self) -> Option<&ProviderError> {
        match self {
            Self::Provider(error) => Some(error),
            Self::DeadlineExceeded { last, .. } => last.provider(),
            _ => None,
        }
    }

    /// How long to wait: what the provider asked for, or what its limits make of it.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::DeadlineExceeded { last, .. } => last.retry_after(),
            _ => self.provider()?.retry_after.map(RetryAfter::get),
        }
    }
}

/// A response that is not a success, read by the rules of the provider's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider answered {status}{}", self.details())]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and several may hold for one response"
)]
pub struct ProviderError {
    /// The HTTP status.
    pub status: u16,
    /// The provider's own code.
    pub code: Option<String>,
    /// The provider's words, cut short, without the connection's secrets should it echo them.
    pub message: Option<String>,
    /// What the provider's file tells people about this code.
    pub hint: Option<String>,
    /// The credentials are not good.
    pub unauthorized: bool,
    /// There is no such thing (any more).
    pub not_found: bool,
    /// Too many calls.
    pub rate_limited: bool,
    /// How long it asks to wait.
    pub retry_after: Option<RetryAfter>,
    /// Whether the call was carried out all the same, since a redirect made a GET of it, and that was refused.
    pub(crate) carried_out: bool,
}

impl ProviderError {
    /// Whether the provider denies access: 401, 403, or a code that its file lists as unauthorized. The credentials may still be
    /// valid and lack a permission.
    pub fn denies_access(&self) -> bool {
        !self.rate_limited && (self.unauthorized || matches!(self.status, 401 | 403))
    }

    fn details(&self) -> String {
        let code = self.code.as_ref().map(|code| format!(" (code {code})"));
        let message = self.message.as_ref().map(|message| format!(": {message}"));
        code.unwrap_or_default() + &message.unwrap_or_default()
    }
}

/// What a body is that is not the JSON expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnexpectedBody {
    /// An empty body.
    #[error("nothing")]
    Nothing,
    /// HTML or XML, mostly from something in front of the provider.
    #[error("HTML or XML")]
    Markup,
    /// The beginning of JSON.
    #[error("JSON that is cut off")]
    CutOff,
    /// JSON of an unexpected shape.
    #[error("JSON of another shape")]
    OtherShape,
    /// JSON of more values than are kept in memory at once.
    #[error("JSON of more than 500000 values")]
    TooManyValues,
    /// Anything else.
    #[error("something else")]
    SomethingElse,
}

/// The host of an address, for a message: cut short, since an address may hold a host of any length.
pub(crate) fn shown_host(url: &Url) -> String {
    /// The longest name that DNS knows (RFC 1035, 2.3.4).
    const LONGEST: usize = 253;
    excerpt(url.host_str().unwrap_or_default(), LONGEST)
}

/// A text with its first `limit` characters, and a mark if it has more.
pub fn excerpt(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A number of bytes for people.
fn size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}

/// Why credentials are not taken.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The provider refuses them.
    #[error("the provider refuses the credentials")]
    Refused(#[source] ProviderError),
    /// The credentials are good, the account is not; the message is for people.
    #[error("{message}")]
    Check {
        /// What the provider's file says about it.
        message: String,
    },
    /// They could not be tried.
    #[error("the credentials could not be tried")]
    Request(#[from] RequestError),
}

/// Why the HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// TLS or the trusted certificates cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] rustls::Error),
    /// A base URL that is not http or https.
    #[error("the base URL of {provider} must begin with http:// or https:// and name a host")]
    BaseUrl {
        /// Whose.
        provider: domain::ProviderName,
    },
}
