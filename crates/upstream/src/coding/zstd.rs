//! zstd (RFC 8878). Its decoder reads from memory: a body is first read completely, up to a limit, and then decoded part by part.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Bytes of a body before it is decoded.
const LONGEST: u64 = 4 << 20;

/// The largest window that RFC 9659 allows for HTTP; without it a few bytes could demand 128 MiB.
const WINDOW: u64 = 8 << 20;

/// Reads `source` to its end and returns a reader of the decoded bytes.
pub(super) async fn decoder(source: impl AsyncRead + Unpin) -> io::Result<impl AsyncRead + Send + 'static> {
    let mut coded = Vec::new();
    source.take(LONGEST + 1).read_to_end(&mut coded).await?;
    if u64::try_from(coded.len()).is_ok_and(|length| length > LONGEST) {
        return Err(io::Error::other("a body in zstd of more than 4 MiB"));
    }
    Ok(InMemory(Frames {
        frame: None,
        rest: coded.into(),
    }))
}

/// The frames of a body, one after the other.
struct Frames {
    frame: Option<StreamingDecoder<Reader<Bytes>, FrameDecoder>>,
    rest: Bytes,
}

impl Read for Frames {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None if self.rest.is_empty() => return Ok(0),
                None => {
                    let source = std::mem::take(&mut self.rest).reader();
                    let frame = StreamingDecoder::new_with_max_window_size(source, WINDOW);
                    self.frame.insert(frame.map_err(io::Error::other)?)
                }
            };
            match frame.read(into)? {
                0 if !into.is_empty() => {}
                read => return Ok(read),
            }
            if let Some(frame) = self.frame.take() {
                self.rest = frame.into_inner().into_inner();
            }
        }
    }
}

/// A reader that never waits.
struct InMemory<R>(R);

impl<R: Read + Unpin> AsyncRead for InMemory<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.0.read(into.initialize_unfilled())?;
        into.advance(read);
        Poll::Ready(Ok(()))
    }
}
