//! Errors with the codes of gRPC, by which clients tell them apart.

use neurolake_query::{Error, Kind};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::identity::{self, RequestId};

/// A message travels in a header, whose length clients limit, often to 8 KiB, and where a letter may
/// take three bytes.
const LONGEST: usize = 2000;

/// Why something is not answered.
pub(super) fn refuse(code: Code, message: &str, hint: Option<&str>) -> Status {
    let mut text = message.to_owned();
    if let Some(hint) = hint {
        text.push_str("\nhint: ");
        text.push_str(hint);
    }
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str("...");
    }
    Status::new(code, text)
}

/// What was sent can't be understood.
pub(super) fn unreadable(what: &str) -> Status {
    refuse(
        Code::InvalidArgument,
        &format!("can't read {what}"),
        Some("ask with a client of Arrow Flight SQL"),
    )
}

pub(super) fn read_only() -> Status {
    refuse(
        Code::PermissionDenied,
        "the lake can only be read",
        Some("events are sent to `/v1/ingest`, where a table takes them"),
    )
}

pub(super) fn unknown(what: &str) -> Status {
    refuse(Code::Unimplemented, what, None)
}

pub(super) fn busy() -> Status {
    refuse(
        Code::Unavailable,
        "too many queries are running",
        Some("try again in a moment"),
    )
}

pub(super) fn unauthenticated() -> Status {
    refuse(
        Code::Unauthenticated,
        "a token is needed that is known",
        Some(
            "send `authorization: Bearer TOKEN`, or the account's name and its token as user and password",
        ),
    )
}

pub(super) fn too_long(most: usize) -> Status {
    refuse(
        Code::InvalidArgument,
        &format!("the statement with its parameters is longer than {most} bytes"),
        Some("join with a table instead of listing many values"),
    )
}

pub(super) fn cancelled() -> Status {
    refuse(Code::Cancelled, "the query was cancelled", None)
}

pub(super) fn wordless() -> Status {
    refuse(
        Code::Internal,
        "the query ended without a word",
        Some("this is a bug; the server's log says more"),
    )
}

/// An error of the engine.
pub(super) fn of_engine(error: &Error) -> Status {
    let code = match error.kind {
        Kind::BadRequest => Code::InvalidArgument,
        Kind::NotAllowed | Kind::Forbidden => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::TooMuch => Code::ResourceExhausted,
        Kind::Timeout => Code::DeadlineExceeded,
        Kind::Broken => Code::Unavailable,
        Kind::Internal => Code::Internal,
    };
    refuse(code, &error.message, error.hint.as_deref())
}

/// The same with the id under which the log knows the request.
pub(super) fn with_id(mut status: Status, id: &RequestId) -> Status {
    if let Ok(value) = MetadataValue::try_from(id.as_str()) {
        status.metadata_mut().insert(identity::HEADER, value);
    }
    status
}
