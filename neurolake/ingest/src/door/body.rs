//! The bytes of a body, limited in size, time and memory.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use zstd::stream::read::Decoder as ZstdDecoder;

use super::Door;
use super::answer::Problem;
use super::asked::Encoding;

/// Windows of zstd up to 16 MiB: a frame may claim to need 2 GiB.
const WINDOW_LOG: u32 = 24;
/// What is read of a body that nobody wants.
const DISCARDED_BYTES: usize = 64 << 20;
const DISCARDED_TIME: Duration = Duration::from_secs(2);

/// A body as it was sent, and the room that it takes.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Reads a body.
pub(super) async fn receive(
    door: &Door,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Problem> {
    let settings = &door.settings;
    let limit = settings.body_bytes;
    let too_large = || Problem::too_large(format!("the body is larger than {limit} bytes"));
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        discard(headers, body).await;
        return Err(too_large());
    }
    let end = Instant::now() + settings.upload;
    let mut frames = body.into_data_stream();
    let mut received = Vec::new();
    let mut bytes = 0;
    let mut room = None;
    loop {
        let next = timeout_at(end, timeout(settings.silence, frames.next())).await;
        let Ok(Ok(next)) = next else {
            return Err(
                Problem::too_slow(format!("the body stopped after {bytes} bytes"))
                    .with_hint("nothing was kept; send it again"),
            );
        };
        let Some(frame) = next else { break };
        let frame = frame.map_err(|_| {
            Problem::bad_request(format!("the body breaks off after {bytes} bytes"))
        })?;
        bytes += frame.len();
        if bytes > limit {
            drop(received);
            discard(headers, Body::from_stream(frames)).await;
            return Err(too_large());
        }
        make_room(door, &mut room, bytes).await?;
        received.push(frame);
    }
    Ok(Received {
        bytes: joined(received, bytes),
        room,
    })
}

/// Takes as much of the common room as the bytes so far need.
async fn make_room(
    door: &Door,
    room: &mut Option<OwnedSemaphorePermit>,
    bytes: usize,
) -> Result<(), Problem> {
    let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let needed = bytes.div_ceil(1024).saturating_sub(held);
    let Some(needed) = u32::try_from(needed).ok().filter(|needed| *needed > 0) else {
        return Ok(());
    };
    let more = door.room.clone().acquire_many_owned(needed);
    match timeout(door.settings.wait, more).await {
        Ok(Ok(more)) => match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        },
        _ => {
            let message = "the server is reading as many bodies as it can";
            return Err(Problem::busy(message, door.settings.wait));
        }
    }
    Ok(())
}

fn joined(mut frames: Vec<Bytes>, bytes: usize) -> Bytes {
    if frames.len() == 1 {
        return frames.swap_remove(0);
    }
    let mut body = BytesMut::with_capacity(bytes);
    for frame in frames {
        body.extend_from_slice(&frame);
    }
    body.freeze()
}

/// Reads what nobody wants: a server that closes a connection while the other side still writes
/// makes it lose the answer. Whoever waits for a `100 Continue` has sent nothing.
pub(super) async fn discard(headers: &HeaderMap, body: Body) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut frames = body.into_data_stream();
    let rest = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = frames.next().await {
            bytes += frame.len();
            if bytes > DISCARDED_BYTES {
                break;
            }
        }
    };
    let _ = timeout(DISCARDED_TIME, rest).await;
}

/// Uncompresses a body.
///
/// `tower_http`'s layer for this stops at the end of the first gzip member and drops the rest
/// without a word if it lies in the same frame, so rows would be lost.
pub(super) fn unpacked(encoding: Encoding, body: Bytes, limit: usize) -> Result<Bytes, Problem> {
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => read(MultiGzDecoder::new(body.as_ref()), "gzip", limit),
        Encoding::Zstd => {
            let broken = |error: std::io::Error| not_readable("zstd", &error);
            let mut decoder = ZstdDecoder::with_buffer(body.as_ref()).map_err(broken)?;
            decoder.window_log_max(WINDOW_LOG).map_err(broken)?;
            read(decoder, "zstd", limit)
        }
    }
}

fn read(decoder: impl Read, encoding: &str, limit: usize) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    // One byte more tells a body of exactly the limit from a larger one.
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| not_readable(encoding, &error))?;
    if bytes.len() > limit {
        let message = format!("the body is larger than {limit} bytes once it is uncompressed");
        return Err(Problem::too_large(message));
    }
    Ok(bytes.into())
}

fn not_readable(encoding: &str, error: &std::io::Error) -> Problem {
    Problem::bad_request(format!("the body is not whole {encoding}: {error}"))
}
