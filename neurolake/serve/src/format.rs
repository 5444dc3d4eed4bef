//! Which form of answer the client wants: `?format=`, else `Accept` with its q-values.

use axum::http::{HeaderMap, header};

use crate::encode::Format;
use crate::refusal::Refusal;

/// The wanted format.
pub(crate) fn wanted(named: Option<&str>, headers: &HeaderMap) -> Result<Format, Refusal> {
    if let Some(name) = named {
        return Format::by_name(name).ok_or_else(|| {
            Refusal::bad_request(format!("there is no format `{name}`"))
                .with_hint("use `arrow`, `parquet`, `json`, `ndjson` or `csv`")
        });
    }
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if accepted.is_empty() {
        return Ok(Format::Json);
    }
    best(&accepted.join(","), of_media_type).ok_or_else(|| {
        Refusal::not_acceptable("none of the media types in `Accept` can be served").with_hint(
            "accept `application/vnd.apache.arrow.stream`, `application/vnd.apache.parquet`, \
             `application/json`, `application/x-ndjson` or `text/csv`",
        )
    })
}

/// What the client likes best of what `of` knows, with how exact each media type is; among equals the
/// more exact one, then the one that is named first.
pub(crate) fn best<T: Copy>(accept: &str, of: impl Fn(&str) -> Option<(T, u8)>) -> Option<T> {
    let mut found: Option<((f32, u8), T)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts
            .find_map(|parameter| parameter.strip_prefix("q="))
            .map_or(1.0, |text| text.trim().parse().unwrap_or(0.0));
        let Some((one, exactness)) = of(&media_type) else {
            continue;
        };
        let rank = (quality, exactness);
        if quality > 0.0 && found.is_none_or(|(best, _)| rank > best) {
            found = Some((rank, one));
        }
    }
    found.map(|(_, one)| one)
}

fn of_media_type(media_type: &str) -> Option<(Format, u8)> {
    let exact = Format::ALL
        .into_iter()
        .find(|format| format.media_type() == media_type);
    Some(match media_type {
        "*/*" => (Format::Json, 0),
        "application/*" => (Format::Json, 1),
        "text/*" => (Format::Csv, 1),
        "application/jsonl" | "application/ndjson" => (Format::NdJson, 2),
        _ => (exact?, 2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_decides_then_exactness() {
        for (accept, format) in [
            ("*/*", Some(Format::Json)),
            (
                "text/html, application/xhtml+xml, */*;q=0.8",
                Some(Format::Json),
            ),
            (
                "text/csv;q=0.5, application/x-ndjson;q=0.9",
                Some(Format::NdJson),
            ),
            (
                "*/*, application/vnd.apache.arrow.stream",
                Some(Format::Arrow),
            ),
            ("application/json;q=0, text/*", Some(Format::Csv)),
            (
                "application/json; charset=utf-8; q=0.1, text/csv;q=0.2",
                Some(Format::Csv),
            ),
            ("TEXT/CSV", Some(Format::Csv)),
            ("application/json;q=nonsense", None),
            ("image/png", None),
        ] {
            assert_eq!(best(accept, of_media_type), format, "{accept}");
        }
    }
}
