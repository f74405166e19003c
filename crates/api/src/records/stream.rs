//! Streams all records that match a filter, with one page in memory at a time. It reads the next page only after the client has taken the
//! previous one.

use std::sync::Arc;

use async_stream::try_stream;
use bytes::Bytes;
use domain::{Model, StoredRecord};
use futures::Stream;
use gateway::{Gateway, GatewayError, RecordFilter, records};

use super::write::{RowWriter, csv_header, csv_rows};
use crate::error::ApiError;

/// Rows read at a time.
const CHUNK: i64 = 500;

/// A streaming format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    NdJson,
}

impl Format {
    /// Returns the streaming format that an `Accept` header names first among the known types; `None` for JSON.
    pub(crate) fn of(accept: &str) -> Option<Self> {
        let types = accept
            .split(',')
            .map(|part| part.split(';').next().unwrap_or_default().trim());
        for name in types {
            match name.to_ascii_lowercase().as_str() {
                "text/csv" => return Some(Self::Csv),
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                    return Some(Self::NdJson);
                }
                "application/json" | "*/*" => return None,
                _ => {}
            }
        }
        None
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::NdJson => "application/x-ndjson",
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::NdJson => "ndjson",
        }
    }

    /// Returns what is before the first record.
    fn header(self, model: &Model) -> Result<Vec<u8>, csv::Error> {
        match self {
            Self::Csv => csv_header(model),
            Self::NdJson => Ok(Vec::new()),
        }
    }

    fn encode(self, writer: &RowWriter, records: &[StoredRecord]) -> Result<Vec<u8>, csv::Error> {
        if self == Self::Csv {
            return csv_rows(records);
        }
        let mut out = Vec::new();
        for record in records {
            writer.row(record, &mut out);
            out.push(b'\n');
        }
        Ok(out)
    }
}

/// Why a stream breaks off; the client sees an incomplete transfer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("a row could not be written")]
    Csv(#[from] csv::Error),
}

/// Streams at most `limit` records of `filter` as bytes. The first page is read before this returns, so that its error becomes an error
/// response.
pub(crate) async fn stream(
    gateway: Arc<Gateway>,
    filter: RecordFilter,
    format: Format,
    limit: Option<i64>,
) -> Result<impl Stream<Item = Result<Bytes, StreamError>>, ApiError> {
    let chunk = limit.map_or(CHUNK, |limit| limit.min(CHUNK));
    let first = records::records_after(&gateway, &filter, None, chunk).await?;
    Ok(try_stream! {
        let writer = RowWriter::new(filter.model());
        let mut bytes = format.header(filter.model())?;
        let mut left = limit.unwrap_or(i64::MAX);
        let mut requested = chunk;
        let mut records = first;
        loop {
            let read = i64::try_from(records.len()).unwrap_or(i64::MAX);
            left -= read;
            bytes.extend(format.encode(&writer, &records)?);
            if !bytes.is_empty() {
                yield Bytes::from(std::mem::take(&mut bytes));
            }
            let Some(last) = records.pop().filter(|_| read == requested && left > 0) else { break };
            requested = left.min(CHUNK);
            records = match records::records_after(&gateway, &filter, Some(last.position), requested).await {
                Ok(records) => records,
                Err(error) => {
                    tracing::error!(%error, "a stream of records breaks off");
                    Err(error)?
                }
            };
        }
    })
}
