//! Content codings of responses (RFC 9110, 8.4): which one is accepted, and how bodies are decoded while they are read.

mod zstd;

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryFutureExt, TryStreamExt};
use http::header::{self, HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::RequestError;

/// The coding that requests accept: every server knows it, and its decoder needs the least memory.
pub(crate) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip");

/// The most codings in a row that are decoded: each one costs a decoder.
const MOST_CODINGS: usize = 3;

/// One content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Returns the codings of a body in the order in which they were applied; the error is the name of an unknown one, cut short. Names are
/// case-insensitive, and several headers count as one list.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, String> {
    /// Characters of an unknown coding that are shown.
    const SHOWN: usize = 40;
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            codings.push(match name.as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                _ => return Err(name.chars().take(SHOWN).collect()),
            });
        }
    }
    if codings.len() > MOST_CODINGS {
        return Err(format!("{} codings in a row", codings.len()));
    }
    Ok(codings)
}

/// The parts of a body, decoded while they are read.
pub(crate) enum BodyParts {
    /// Not encoded.
    Plain(Incoming),
    Decoded(BoxStream<'static, io::Result<Bytes>>),
}

type Source = Pin<Box<dyn AsyncBufRead + Send>>;

impl BodyParts {
    pub(crate) fn new(body: Incoming, codings: Vec<Coding>) -> Self {
        if codings.is_empty() {
            return Self::Plain(body);
        }
        let parts = body.into_data_stream().map_err(io::Error::other).fuse();
        let source = Box::pin(StreamReader::new(Box::pin(parts)));
        Self::Decoded(decoded(source, codings).try_flatten_stream().boxed())
    }

    /// Returns the next part, `None` at the end. `host` sends the body.
    pub(crate) async fn next(&mut self, host: &str) -> Result<Option<Bytes>, RequestError> {
        let broken = |error: hyper::Error| RequestError::Broken(host.to_owned(), error.into());
        match self {
            Self::Plain(body) => next_data(body).await.map_err(broken),
            // An error of the connection passes through the decoders unchanged; any other is a decoder's.
            Self::Decoded(parts) => {
                let part = parts.next().await.transpose();
                part.map_err(|error| match error.downcast() {
                    Ok(error) => broken(error),
                    Err(error) => RequestError::Undecodable(host.to_owned(), error),
                })
            }
        }
    }
}

/// Returns the next data of a body, without the trailers.
async fn next_data(body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Decodes a body from its first byte on; an empty body is not encoded.
async fn decoded(mut source: Source, codings: Vec<Coding>) -> io::Result<ReaderStream<Source>> {
    if !source.fill_buf().await?.is_empty() {
        for coding in codings.into_iter().rev() {
            source = without(coding, source).await?;
        }
    }
    Ok(ReaderStream::with_capacity(source, 16 << 10))
}

async fn without(coding: Coding, mut source: Source) -> io::Result<Source> {
    Ok(match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(source);
            decoder.multiple_members(true);
            buffered(decoder)
        }
        // Some servers leave out the zlib frame, whose first byte names the method 8 and a window (RFC 1950, 2.2).
        Coding::Deflate => match source.fill_buf().await?.first() {
            Some(byte) if byte & 0x0f != 8 || byte >> 4 > 7 => buffered(DeflateDecoder::new(source)),
            _ => buffered(ZlibDecoder::new(source)),
        },
        Coding::Brotli => buffered(BrotliDecoder::new(source)),
        Coding::Zstd => buffered(zstd::decoder(source).await?),
    })
}

fn buffered(decoder: impl AsyncRead + Send + 'static) -> Source {
    Box::pin(BufReader::new(decoder))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::headers;

    #[rstest]
    #[case(&[], Ok(vec![]))]
    #[case(&["GZIP"], Ok(vec![Coding::Gzip]))]
    #[case(&["x-gzip , BR"], Ok(vec![Coding::Gzip, Coding::Brotli]))]
    #[case(&["deflate", "Identity, zStd"], Ok(vec![Coding::Deflate, Coding::Zstd]))]
    #[case(&[""], Ok(vec![]))]
    #[case(&["gzip, compress"], Err("compress"))]
    #[case(&["gzip,gzip,gzip,gzip"], Err("4 codings in a row"))]
    fn codings_are_read_in_every_spelling(
        #[case] values: &[&'static str],
        #[case] read: Result<Vec<Coding>, &str>,
    ) {
        let pairs: Vec<_> = values.iter().map(|value| ("content-encoding", *value)).collect();
        assert_eq!(codings(&headers(&pairs)), read.map_err(str::to_owned));
    }
}
