//! Which request it was: an id on every answer and every line of the log.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;

/// Header of the id, in requests and answers.
pub(crate) const HEADER: &str = "x-request-id";

/// Id of a request: the client's own, if it is short and plain, or a new one.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn of(request: &Request) -> Self {
        let given = request.headers().get(HEADER);
        let given = given.and_then(|value| value.to_str().ok());
        match given.filter(|id| is_plain(id)) {
            Some(id) => Self(id.to_owned()),
            None => Self::fresh(),
        }
    }

    pub(crate) fn fresh() -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let process = PROCESS.get_or_init(|| RandomState::new().hash_one(0));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{:08x}-{number}", process & 0xffff_ffff))
    }
}

/// It goes into logs: nothing that could forge a line.
fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Names the request and reports it.
pub(crate) async fn identify(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    let method = request.method().clone();
    // Without the query, which may hold a statement with personal data.
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    tracing::info!(
        request_id = id.as_str(),
        %method,
        path,
        status = response.status().as_u16(),
        milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request"
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_forge_a_line_is_not_taken() {
        assert!(is_plain("a-1_B.2"));
        for bad in ["", "a b", "a\nb", "\u{e9}", &"x".repeat(65)] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn ids_differ() {
        assert_ne!(RequestId::fresh().0, RequestId::fresh().0);
    }
}
