//! The catalog site: a folder of generated files.

use std::convert::Infallible;
use std::path::Path;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::any_service;
use tower::{ServiceExt, service_fn};
use tower_http::services::{ServeDir, ServeFile};
use tower_http::set_status::SetStatus;

/// Files of the folder; its `404.html` for everything else.
pub(crate) fn files(folder: &Path) -> axum::routing::MethodRouter {
    let not_found = SetStatus::new(
        ServeFile::new(folder.join("404.html")),
        StatusCode::NOT_FOUND,
    );
    let files = ServeDir::new(folder)
        .append_index_html_on_directories(true)
        .fallback(not_found);
    any_service(service_fn(move |request: Request| {
        let files = files.clone();
        async move {
            let known = request.headers().get(header::IF_NONE_MATCH).cloned();
            let answer = match files.oneshot(request).await {
                Ok(answer) => answer.map(Body::new),
                Err(never) => match never {},
            };
            Ok::<_, Infallible>(tagged(answer, known.as_ref()))
        }
    }))
}

/// Adds an `ETag`, and answers 304 to who has the file already.
fn tagged(mut answer: Response<Body>, known: Option<&HeaderValue>) -> Response<Body> {
    let headers = answer.headers_mut();
    // Pages change with the next rendering: ask each time, and mostly hear that nothing changed.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let Some(tag) = tag(answer.headers()) else {
        return answer;
    };
    let is_known = known
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        *answer.body_mut() = Body::empty();
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

/// Weak, because the same file may be sent compressed.
fn tag(headers: &HeaderMap) -> Option<String> {
    let modified = headers.get(header::LAST_MODIFIED)?.to_str().ok()?;
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    let plain: String = modified
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    Some(format!("W/\"{plain}-{length}\""))
}
