//! Bodies of requests, up to a limit.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;

/// As much of a body that is too large is read all the same: whoever sends it reads the answer only afterwards.
const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A body, and what followed it.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    pub(super) trailers: HeaderMap,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBody {
    TooLarge,
    /// The connection broke, or what came is not HTTP.
    Broken,
}

/// Reads a body of at most this many bytes.
pub(super) async fn read(mut body: Body, bytes_max: usize) -> Result<Whole, NoBody> {
    let (mut pieces, mut n_bytes, mut trailers) = (Vec::new(), 0, HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_error| NoBody::Broken)?.into_data() {
            Ok(piece) => {
                n_bytes += piece.len();
                if n_bytes > DISCARDED_BYTES_MAX {
                    return Err(NoBody::TooLarge);
                }
                if n_bytes > bytes_max {
                    pieces.clear();
                } else {
                    pieces.push(piece);
                }
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    if n_bytes > bytes_max {
        return Err(NoBody::TooLarge);
    }
    Ok(Whole { bytes: join(pieces, n_bytes), trailers })
}

/// One piece, as most bodies have, is not copied.
fn join(mut pieces: Vec<Bytes>, n_bytes: usize) -> Bytes {
    if pieces.len() <= 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(n_bytes);
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    all.freeze()
}
