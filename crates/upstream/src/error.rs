//! Errors of requests to providers.

use std::error::Error;
use std::time::Duration;

use registry::{MAX_RENDERED, RenderError};
use url::Url;

use crate::UploadError;

/// The cause of an error of the connection.
type Cause = Box<dyn Error + Send + Sync>;

/// Why a request failed. Contains no secret and no body. An unnamed text is the host, cut short, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The host is, or resolves to, an address that is not public.
    #[error(
        "{0} is not a public address; to allow private ones, the operator sets upstream.allow_private_addresses \
         (TRUNKLINE_UPSTREAM__ALLOW_PRIVATE_ADDRESSES) to true"
    )]
    AddressRefused(String),
    /// Plain http would show the credentials to everyone on the way.
    #[error(
        "{0} would be called over plain http, which shows the credentials to everyone on the way: use https, or the operator \
         allows it with upstream.allow_private_addresses (TRUNKLINE_UPSTREAM__ALLOW_PRIVATE_ADDRESSES)"
    )]
    PlainHttp(String),
    /// No connection was made, so nothing was done.
    #[error("{0} cannot be reached")]
    Unreachable(String, #[source] Cause),
    /// The connection broke; it is unknown whether the request was carried out.
    #[error("the connection to {0} broke off")]
    Broken(String, #[source] Cause),
    /// An attempt took too long; it is unknown whether it was carried out.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// The client stopped reading the response, whose permit was released.
    #[error("the response of {0} was not read in time")]
    NotRead(String),
    /// The client's body did not arrive completely; it is unknown what the provider made of the part that it got.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The deadline of the whole request passed.
    #[error("gave up after {attempts} attempts, since the time for the request is up")]
    DeadlineExceeded {
        /// The number of attempts made.
        attempts: u32,
        /// Why the last attempt failed.
        #[source]
        last: Box<RequestError>,
    },
    /// No permit was released in time, or the provider asked for a longer wait.
    #[error("other requests use up the provider's limits: try again in {} s", retry_after.as_secs().max(1))]
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
        /// Whether the request was sent before.
        sent: bool,
    },
    /// The response's body has an unknown content coding.
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
    #[error("the response of {0} cannot be decoded as its content coding says")]
    Undecodable(String, #[source] std::io::Error),
    /// A redirect of a write that does not say whether it was carried out.
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
    /// A template of the provider's file cannot be rendered with the values of the connection and the integration.
    #[error("{}", explain(.0))]
    Template(RenderError),
    /// A part of the request would be longer than a rendered text may be.
    #[error("{part} cannot be sent: the value of {placeholder} {}", too_long())]
    TextTooLong {
        /// The part of the request, such as `the query parameter "q"`.
        part: String,
        /// The placeholder whose value is too long.
        placeholder: String,
    },
    /// The integration's configuration breaks a rule, as it may if it was stored before the rule was made.
    #[error(
        "the integration's integration_config.{field} cannot be used, since {problem}: make another integration"
    )]
    Integration {
        /// The key of the configuration.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The client's base URL is none of the provider's.
    #[error(
        "{origin} is none of the provider's own servers; to allow it, the operator lists it in the setting providers.{provider}.allowed_origins"
    )]
    OverrideNotAllowed {
        /// Scheme, host and port of the base URL.
        origin: String,
        /// The provider.
        provider: domain::ProviderName,
    },
    /// The file and the connection's configuration make no valid address, for this reason.
    #[error("the provider's address is not valid: {0}")]
    BadUrl(String),
    /// The provider's file has no server of this name.
    #[error("the provider has no server called {0:?}")]
    UnknownServer(String),
    /// The header of this name cannot be sent.
    #[error("the header {0:?} has a name or a value that HTTP does not allow")]
    BadHeader(String),
    /// The provider sent an error.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A success without the JSON that was expected.
    #[error("the provider answered {status} with {found} where JSON was expected")]
    NotJson {
        /// The HTTP status.
        status: u16,
        /// What the body is.
        found: UnexpectedBody,
    },
    /// A next-page link, or a redirect of a body, leads away from the provider.
    #[error("the provider refers to {0}, which is not one of its servers")]
    ForeignLink(String),
    /// More redirects than are followed.
    #[error("more than {0} redirects")]
    TooManyRedirects(u32),
    /// A page names its next page in a way that the provider's file does not expect.
    #[error("the address or token of the next page cannot be read: {at} is {found}")]
    BadNext {
        /// Where it was expected.
        at: String,
        /// What was found there.
        found: &'static str,
    },
    /// The cursor does not belong to this list.
    #[error("the stored cursor does not fit the provider's file any more")]
    BadCursor,
}

impl From<RenderError> for RequestError {
    fn from(error: RenderError) -> Self {
        Self::Template(error)
    }
}

/// Returns what is missing or wrong, and where to set it.
fn explain(error: &RenderError) -> String {
    let (placeholder, what) = match error {
        RenderError::Missing { placeholder } => {
            (placeholder, "is missing, and this request needs it".to_owned())
        }
        RenderError::Unfit { placeholder, rule } => (placeholder, (*rule).to_owned()),
        RenderError::NoAddress(problem) => return format!("the provider's address is not valid: {problem}"),
        RenderError::TooLong { placeholder } => (placeholder, too_long()),
    };
    match placeholder.split_once('.') {
        Some(("connectionConfig", name)) => format!(
            "the connection's connection_config.{name} {what}; set it with PATCH /connections/{{connection_id}}"
        ),
        Some(("integrationConfig", name)) => format!(
            "the integration's integration_config.{name} {what}; set it with PATCH /integrations/{{unique_key}}"
        ),
        Some(("metadata", _)) => {
            format!("the connection's {placeholder} {what}; set it with PATCH /connections/metadata")
        }
        _ => format!("the value of {placeholder} {what}"),
    }
}

fn too_long() -> String {
    format!("makes a text that is longer than {MAX_RENDERED} bytes: give a shorter one")
}

impl RequestError {
    /// Names the part of the request whose text would be too long.
    pub(crate) fn within(part: impl FnOnce() -> String) -> impl FnOnce(RenderError) -> Self {
        move |error| match error {
            RenderError::TooLong { placeholder } => Self::TextTooLong {
                part: part(),
                placeholder,
            },
            error => Self::Template(error),
        }
    }

    /// Returns the provider's error, if it sent one, even if the time was up then.
    pub fn provider(&self) -> Option<&ProviderError> {
        match self {
            Self::Provider(error) => Some(error),
            Self::DeadlineExceeded { last, .. } => last.provider(),
            _ => None,
        }
    }

    /// Returns how long to wait: as the provider asked, or as its limits make necessary.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::DeadlineExceeded { last, .. } => last.retry_after(),
            _ => self.provider()?.retry_after,
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
    /// The provider's message, cut short, without the connection's secrets should it echo them.
    pub message: Option<String>,
    /// What the provider's file says about this code.
    pub hint: Option<String>,
    /// Whether it says that the credentials are not valid.
    pub unauthorized: bool,
    /// Whether it says that there is no such resource (any more).
    pub not_found: bool,
    /// Whether it says that there were too many requests.
    pub rate_limited: bool,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the request was carried out all the same, since a redirect turned it into a GET, and that was refused.
    pub(crate) carried_out: bool,
}

impl ProviderError {
    /// Whether the provider denies access: 401, 403, or a code that its file lists as unauthorized. The credentials may still be
    /// valid and lack a permission.
    pub fn denies_access(&self) -> bool {
        !self.rate_limited && (self.unauthorized || matches!(self.status, 401 | 403))
    }

    /// Returns status, code and message for a sentence, such as `HTTP 403, code no_scope: "Missing scope"`.
    pub fn summary(&self) -> String {
        let code = self.code.as_ref().map(|code| format!(", code {code}"));
        let message = self.message.as_ref().map(|message| format!(": {message:?}"));
        format!(
            "HTTP {}{}{}",
            self.status,
            code.unwrap_or_default(),
            message.unwrap_or_default()
        )
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

/// Returns the host of an address, cut short for a message, since it may have any length.
pub(crate) fn shown_host(url: &Url) -> String {
    /// The longest name that DNS knows (RFC 1035, 2.3.4).
    const LONGEST: usize = 253;
    excerpt(url.host_str().unwrap_or_default(), LONGEST)
}

/// Returns the first `limit` characters of a text, and `…` if it has more.
pub fn excerpt(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Formats a number of bytes.
fn size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}

/// Why credentials are not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The provider refuses them.
    #[error("the provider refuses the credentials")]
    Refused(#[source] ProviderError),
    /// The credentials are valid, but the account cannot be used, as the provider's file says in this text.
    #[error("{0}")]
    Check(String),
    /// They could not be verified.
    #[error("the credentials could not be verified")]
    Request(#[from] RequestError),
}

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// TLS or the trusted certificates cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] rustls::Error),
    /// The base URL of this provider is not http or https.
    #[error("the base URL of {0} must begin with http:// or https:// and name a host")]
    BaseUrl(domain::ProviderName),
}
