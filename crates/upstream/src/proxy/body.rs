//! The body of a proxied response.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::permit::PermitGuard;
use crate::RequestError;
use crate::coding::BodyParts;

/// The body of a provider's response, which is never buffered: what the client does not read stays with the provider.
pub struct ProxyResponseBody {
    pub(super) length: Option<u64>,
    pub(super) parts: BodyParts,
    pub(super) host: String,
    /// The longest wait for a part.
    pub(super) idle: Duration,
    pub(super) permit: PermitGuard,
}

impl ProxyResponseBody {
    /// Returns its length in bytes, if the provider gave it; for HEAD and 304, that of the body which a GET would have.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns the next part; `None` at the end. Fails if none arrives for as long as an attempt may take, or if none was read for so
    /// long that the permit was released.
    pub async fn part(&mut self) -> Result<Option<Bytes>, RequestError> {
        let host = || self.host.clone();
        if !self.permit.begin_read() {
            return Err(RequestError::NotRead(host()));
        }
        let part = timeout(self.idle, self.parts.next(&self.host)).await;
        self.permit.end_read();
        part.unwrap_or_else(|_| Err(RequestError::TimedOut(host())))
    }
}

impl fmt::Debug for ProxyResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyResponseBody")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
