//! Checks the head of each request before actix parses it, because actix refuses a bad head with an empty body.
//!
//! The reader passes all bytes on as they come, with three exceptions. In a request's target, characters that are not allowed in a URL
//! (`"`, `<`, `é`) are percent-encoded, as browsers do. A head that cannot be accepted is replaced by a request for the route of
//! [`Unreadable`], which responds with an error of the usual shape and closes the connection. A chunked body that breaks its grammar ends
//! there, as if the client had sent no more. Otherwise bodies are followed to their end only to find the next head: actix alone decides
//! what a request means.

mod chunks;

use std::io;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::http::Uri;
use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::io::poll_read_buf;

/// The path of requests that replace a head that cannot be accepted. No integration can have this name.
pub(crate) const ROUTE: &str = "/!unreadable/";
/// The most bytes of a head, headers of it, and bytes of a target; actix accepts no more.
const MAX_HEAD: usize = 100_000;
const MAX_HEADERS: usize = 96;
const MAX_TARGET: usize = 65_000;
/// The most bytes of a line with a chunk's size or a trailer.
const MAX_LINE: usize = 8_192;
/// How long a connection's first head may take; shorter than actix's own limit.
const FIRST_HEAD: Duration = Duration::from_millis(4_500);
/// Bytes after a refused head that are read and dropped, so that the client can read the response.
const DROPPED: usize = 1 << 20;

/// Bytes of a read: few for a head, since many connections are idle.
const READ_OF_HEAD: usize = 2_048;
const READ_OF_BODY: usize = 32_768;

/// Why a head cannot be accepted. The word of a variant is the last segment of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Unreadable {
    #[error(
        "the request's head breaks the grammar of HTTP/1.1 (RFC 9112): check its first line and its headers"
    )]
    Head,
    #[error("the request's target is not a URL: percent-encode what is not allowed in one")]
    Target,
    #[error("the request's target is longer than 65000 bytes: send long values in the body")]
    #[strum(serialize = "long-target")]
    TargetTooLong,
    #[error("the request's headers are too many or too large: at most 96 of 100000 bytes together")]
    #[strum(serialize = "large-head")]
    HeadTooLarge,
    #[error("the length of the body is not clear: send one Content-Length, or Transfer-Encoding: chunked")]
    Length,
    #[error("the request's headers did not arrive in time")]
    Late,
}

/// What comes next on the connection.
enum Next {
    Head,
    /// The rest of a body, in bytes.
    Body(u64),
    /// A line with the size of a chunk.
    ChunkSize,
    /// The rest of a chunk, in bytes.
    Chunk(u64),
    /// The line break after a chunk.
    ChunkEnd,
    /// The lines after the last chunk.
    Trailers,
    /// Whatever it is: another protocol.
    Anything,
    /// Nothing that counts; the number of bytes that may still be dropped.
    Nothing(usize),
}

/// What a client sends over a connection, with each head checked as it is read.
pub(crate) struct RequestHeads<R> {
    inner: R,
    received: BytesMut,
    /// The number of bytes of `received` that hold no end of a head.
    searched: usize,
    checked: BytesMut,
    next: Next,
    first: Option<Pin<Box<Sleep>>>,
}

impl<R> RequestHeads<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            received: BytesMut::new(),
            searched: 0,
            checked: BytesMut::new(),
            next: Next::Head,
            first: Some(Box::pin(sleep(FIRST_HEAD))),
        }
    }

    /// Moves what can be passed on from `received` to `checked`; false if more bytes are needed.
    fn advance(&mut self) -> bool {
        match self.next {
            Next::Head => self.head(),
            Next::Body(left) => {
                let left = self.pass_on(left);
                self.next = if left == 0 { Next::Head } else { Next::Body(left) };
                left == 0
            }
            Next::Chunk(left) => {
                let left = self.pass_on(left);
                self.next = if left == 0 {
                    Next::ChunkEnd
                } else {
                    Next::Chunk(left)
                };
                left == 0
            }
            Next::ChunkSize => self.line(|line| match chunks::size(line)? {
                0 => Some(Next::Trailers),
                size => Some(Next::Chunk(size)),
            }),
            Next::ChunkEnd => match self.received.as_ref() {
                [] | [b'\r'] => false,
                [b'\r', b'\n', ..] => {
                    self.pass_on(2);
                    self.next = Next::ChunkSize;
                    true
                }
                _ => self.end_input(),
            },
            Next::Trailers => self.line(|line| {
                let ends = chunks::ends_body(line)?;
                Some(if ends { Next::Head } else { Next::Trailers })
            }),
            Next::Anything => {
                self.pass_on(u64::MAX);
                false
            }
            Next::Nothing(left) => {
                let left = left.saturating_sub(self.received.len());
                self.received.clear();
                self.next = Next::Nothing(left);
                false
            }
        }
    }

    /// Passes on at most `most` bytes; returns how many of them are still to come.
    fn pass_on(&mut self, most: u64) -> u64 {
        let here = u64::try_from(self.received.len()).unwrap_or(u64::MAX).min(most);
        let bytes = self
            .received
            .split_to(usize::try_from(here).unwrap_or(usize::MAX));
        if self.checked.is_empty() {
            self.checked = bytes;
        } else {
            self.checked.extend_from_slice(&bytes);
        }
        most.saturating_sub(here)
    }

    /// Passes on a line that `then` reads. A line that breaks the grammar ends the input.
    fn line(&mut self, then: impl FnOnce(&[u8]) -> Option<Next>) -> bool {
        let Some(end) = self.received.iter().position(|byte| *byte == b'\n') else {
            return self.received.len() > MAX_LINE && self.end_input();
        };
        let line = self.received.split_to(end.saturating_add(1));
        let Some(next) = then(&line) else {
            return self.end_input();
        };
        self.next = next;
        self.checked.extend_from_slice(&line);
        true
    }

    /// Ends the input where a body breaks its grammar, as if the client had sent no more. Actix then tells the handler that the body is
    /// incomplete, sends its response and closes the connection; to a broken chunk it would respond with an empty body.
    fn end_input(&mut self) -> bool {
        self.received.clear();
        self.next = Next::Nothing(0);
        true
    }

    fn head(&mut self) -> bool {
        // Empty lines before a request are not part of it (RFC 9112, section 2.2).
        while self.received.starts_with(b"\r\n") {
            self.received.advance(2);
            self.searched = 0;
        }
        let Some(end) = end_of_head(&self.received, self.searched) else {
            self.searched = self.received.len().saturating_sub(3);
            if self.received.len() > MAX_HEAD {
                self.refuse(too_long(&self.received));
                return true;
            }
            return false;
        };
        let head = self.received.split_to(end);
        self.searched = 0;
        self.first = None;
        match check(&head) {
            Ok((head, next)) => {
                self.checked.extend_from_slice(&head);
                self.next = next;
            }
            Err(why) => self.refuse(why),
        }
        true
    }

    fn refuse(&mut self, why: Unreadable) {
        let request = format!(
            "GET {ROUTE}{} HTTP/1.1\r\nhost: trunkline\r\nconnection: close\r\n\r\n",
            <&str>::from(why)
        );
        self.checked.extend_from_slice(request.as_bytes());
        self.received.clear();
        self.first = None;
        self.next = Next::Nothing(DROPPED);
    }
}

/// Returns which part of a head is too long.
fn too_long(head: &[u8]) -> Unreadable {
    match head.iter().position(|byte| *byte == b'\n') {
        Some(end) if end <= MAX_TARGET => Unreadable::HeadTooLarge,
        _ => Unreadable::TargetTooLong,
    }
}

/// Returns the position after the empty line that ends a head, searched from `from`.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|at| match bytes.get(at..)? {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Returns the head as it is passed on, and what follows it.
fn check(head: &[u8]) -> Result<(BytesMut, Next), Unreadable> {
    if head.len() > MAX_HEAD {
        return Err(too_long(head));
    }
    let head = encoded(head);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(&head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Unreadable::HeadTooLarge),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Unreadable::Head),
    }
    let target = request.path.unwrap_or_default();
    if target.len() > MAX_TARGET {
        return Err(Unreadable::TargetTooLong);
    }
    Uri::from_str(target).map_err(|_| Unreadable::Target)?;
    let next = after_head(&request)?;
    Ok((head, next))
}

/// Returns what follows a head, by the headers that frame a body (RFC 9112, section 6).
fn after_head(request: &httparse::Request<'_, '_>) -> Result<Next, Unreadable> {
    let all = |name: &str| -> Vec<&[u8]> {
        let headers = request.headers.iter();
        let named = headers.filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.trim_ascii()).collect()
    };
    if all("host").len() > 1 {
        return Err(Unreadable::Head);
    }
    if request.method == Some("CONNECT") || !all("upgrade").is_empty() {
        return Ok(Next::Anything);
    }
    let length = match all("content-length").as_slice() {
        [] => None,
        [value] => {
            let digits = std::str::from_utf8(value)
                .ok()
                .filter(|text| !text.starts_with('+'));
            let length = digits.and_then(|text| text.parse::<u64>().ok());
            Some(length.ok_or(Unreadable::Length)?)
        }
        _ => return Err(Unreadable::Length),
    };
    let coded = match all("transfer-encoding").as_slice() {
        // HTTP/1.0 has no such header.
        _ if request.version == Some(0) => false,
        [] => false,
        [value] if value.eq_ignore_ascii_case(b"chunked") => true,
        [value] if value.eq_ignore_ascii_case(b"identity") => false,
        _ => return Err(Unreadable::Length),
    };
    match (coded, length) {
        (true, Some(_)) => Err(Unreadable::Length),
        (true, None) => Ok(Next::ChunkSize),
        (false, Some(length)) if length > 0 => Ok(Next::Body(length)),
        (false, _) => Ok(Next::Head),
    }
}

/// Returns the head with those characters encoded that are not allowed in a URL. Everything else stays as it is, even if it is wrong.
fn encoded(head: &[u8]) -> BytesMut {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let rest = head.get(line.len()..).unwrap_or_default();
    let mut out = BytesMut::with_capacity(head.len());
    for byte in line {
        if matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x80..) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.put_u8(*byte);
        }
    }
    out.extend_from_slice(rest);
    out
}

impl<R: AsyncRead + Unpin> AsyncRead for RequestHeads<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.checked.is_empty() {
                let length = this.checked.len().min(buf.remaining());
                buf.put_slice(&this.checked.split_to(length));
                return Poll::Ready(Ok(()));
            }
            if this.advance() || !this.checked.is_empty() {
                continue;
            }
            if matches!(this.next, Next::Nothing(0)) {
                return Poll::Ready(Ok(()));
            }
            let late = this
                .first
                .as_mut()
                .is_some_and(|first| first.as_mut().poll(cx).is_ready());
            if late {
                this.refuse(Unreadable::Late);
                continue;
            }
            this.received.reserve(match this.next {
                Next::Head => READ_OF_HEAD,
                _ => READ_OF_BODY,
            });
            if ready!(poll_read_buf(Pin::new(&mut this.inner), cx, &mut this.received))? == 0 {
                // An incomplete head is passed on, so that actix sees that it broke off.
                if !matches!(this.next, Next::Nothing(_)) && !this.received.is_empty() {
                    this.next = Next::Anything;
                    continue;
                }
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
