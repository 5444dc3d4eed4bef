//! Rows on their way in another process.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::ipc::writer::StreamWriter;
use neurolake_query::{RemoteTails, Tail, TailError, Tails, Timeouts};
use serde::Deserialize;
use url::Url;

/// What the server says next.
#[derive(Clone)]
enum Answer {
    Rows(Vec<u8>, Option<&'static str>),
    Gone(Option<u64>),
    Refused(StatusCode, String),
    Half(Vec<u8>),
    Nothing,
}

#[derive(Default)]
struct Seen {
    answer: Option<Answer>,
    asked: Vec<(String, Option<u64>)>,
    application: Option<&'static str>,
    clients: Vec<SocketAddr>,
}

const OURS: &str = "neurolake/ingest/a";

type Shared = Arc<Mutex<Seen>>;

#[derive(Deserialize)]
struct Asked {
    after: Option<u64>,
}

async fn answer(
    State(shared): State<Shared>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Path((database, table)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let (answer, application) = {
        let mut seen = shared.lock().unwrap();
        seen.asked
            .push((format!("{database}.{table}"), asked.after));
        seen.clients.push(client);
        (seen.answer.clone().unwrap(), seen.application)
    };
    let mut response = respond(answer).await;
    if let Some(application) = application {
        let value = axum::http::HeaderValue::from_static(application);
        response
            .headers_mut()
            .insert("Neurolake-Application", value);
    }
    response
}

async fn respond(answer: Answer) -> Response {
    match answer {
        Answer::Rows(body, None) => body.into_response(),
        Answer::Rows(body, Some(offsets)) => {
            ([("Neurolake-Offsets", offsets)], body).into_response()
        }
        Answer::Gone(None) => StatusCode::GONE.into_response(),
        Answer::Gone(Some(trimmed)) => {
            let header = [("Neurolake-Trimmed", trimmed.to_string())];
            (StatusCode::GONE, header).into_response()
        }
        Answer::Refused(status, body) => (status, body).into_response(),
        Answer::Half(body) => {
            let half = bytes::Bytes::from(body).slice(..40);
            let parts = [Ok(half), Err(std::io::Error::other("it broke"))];
            Body::from_stream(futures::stream::iter(parts)).into_response()
        }
        Answer::Nothing => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            StatusCode::OK.into_response()
        }
    }
}

async fn server() -> (Shared, Url) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Shared::default();
    shared.lock().unwrap().application = Some(OURS);
    let router = Router::new()
        .route("/v1/tail/{database}/{table}", get(answer))
        .with_state(Arc::clone(&shared))
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (shared, Url::parse(&format!("http://{address}")).unwrap())
}

fn stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn batch(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).unwrap()
}

fn tail(url: Url) -> Arc<dyn Tail> {
    let timeouts = Timeouts {
        connect: Duration::from_secs(1),
        answer: Duration::from_millis(700),
    };
    let tails = RemoteTails::new(url, timeouts).unwrap();
    tails.tail("neural", "spikes").unwrap()
}

fn why(result: Result<Vec<RecordBatch>, TailError>) -> String {
    match result {
        Err(TailError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_over_a_connection_that_is_kept() {
    let (shared, url) = server().await;
    let tail = tail(url);
    let numbers = batch("a", Arc::new(Int64Array::from(vec![1, 2])));
    let names = batch("b", Arc::new(StringArray::from(vec!["x"])));
    let say = |answer| shared.lock().unwrap().answer = Some(answer);
    say(Answer::Rows(
        [stream(&numbers), stream(&names)].concat(),
        Some("8-9"),
    ));
    assert_eq!(tail.rows(OURS, 7).await.unwrap(), [numbers.clone(), names]);
    say(Answer::Rows(stream(&numbers), None));
    let found = tail.rows(OURS, 9).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&numbers));
    say(Answer::Rows(Vec::new(), None));
    assert_eq!(tail.rows(OURS, 10).await.unwrap(), []);
    say(Answer::Gone(Some(20)));
    assert_eq!(
        tail.rows(OURS, 6).await,
        Err(TailError::Gone { trimmed: 20 })
    );
    say(Answer::Gone(None));
    assert_eq!(
        tail.rows(OURS, 6).await,
        Err(TailError::Gone { trimmed: 7 })
    );
    // Records between what was asked for and what is there.
    say(Answer::Rows(stream(&numbers), Some("8-9")));
    assert_eq!(
        tail.rows(OURS, 6).await,
        Err(TailError::Gone { trimmed: 7 })
    );
    let seen = shared.lock().unwrap();
    let asked: Vec<u64> = seen.asked.iter().filter_map(|(_, after)| *after).collect();
    assert_eq!(asked, [7, 9, 10, 6, 6, 6]);
    assert!(seen.asked.iter().all(|(table, _)| table == "neural.spikes"));
    // Not always one: who asks at once may come before the last answer's connection is free.
    let connections: HashSet<_> = seen.clients.iter().collect();
    assert!(
        connections.len() <= seen.clients.len() / 2,
        "{connections:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_asked_for_once_and_another_one_is_noticed() {
    const OTHER: &str = "neurolake/ingest/b";
    let (shared, url) = server().await;
    let tails = RemoteTails::new(url, Timeouts::default()).unwrap();
    let tail = || tails.tail("neural", "spikes").unwrap();
    let say = |answer| shared.lock().unwrap().answer = Some(answer);
    let asked = || std::mem::take(&mut shared.lock().unwrap().asked).len();
    say(Answer::Rows(Vec::new(), None));
    for _ in 0..3 {
        assert_eq!(tail().application().await.unwrap(), OURS);
    }
    assert_eq!(asked(), 1);
    shared.lock().unwrap().application = Some(OTHER);
    assert_eq!(tail().rows(OURS, 5).await, Err(TailError::Anew));
    assert_eq!(tail().application().await.unwrap(), OTHER);
    assert_eq!(tail().rows(OTHER, 0).await.unwrap(), []);
    // Whoever began before doesn't take the other queue's rows for those behind its offset.
    assert_eq!(tail().rows(OURS, 0).await, Err(TailError::Anew));
    assert_eq!(asked(), 3);
    // What is trimmed may be trimmed from yet another one.
    say(Answer::Gone(Some(9)));
    shared.lock().unwrap().application = None;
    assert_eq!(
        tail().rows(OTHER, 5).await,
        Err(TailError::Gone { trimmed: 9 })
    );
    say(Answer::Rows(Vec::new(), None));
    let text = match tail().application().await {
        Err(TailError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(text.ends_with("doesn't say which queue it has"), "{text}");
    why(tail().rows(OTHER, 5).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_is_said() {
    let (shared, mut url) = server().await;
    url.set_username("user").unwrap();
    url.set_password(Some("canary")).unwrap();
    let server = url.origin().ascii_serialization();
    let tail = tail(url);
    let say = |answer| shared.lock().unwrap().answer = Some(answer);
    let body = stream(&batch("a", Arc::new(Int64Array::from(vec![1, 2]))));

    let message = r#"{"error": {"code": "not_found", "message": "no such table"}}"#;
    say(Answer::Refused(StatusCode::NOT_FOUND, message.into()));
    let text = why(tail.rows(OURS, 1).await);
    assert_eq!(
        text,
        format!("{server} answered 404 Not Found: no such table")
    );
    say(Answer::Refused(StatusCode::FOUND, "elsewhere".into()));
    assert_eq!(
        why(tail.rows(OURS, 1).await),
        format!("{server} answered 302 Found")
    );
    say(Answer::Half(body.clone()));
    assert!(why(tail.rows(OURS, 1).await).starts_with(&server));
    // Cut off so that nothing but its end is missing.
    say(Answer::Rows(body[..body.len() - 8].to_vec(), None));
    assert_eq!(
        why(tail.rows(OURS, 1).await),
        format!("{server}: Ipc error: the answer breaks off")
    );
    say(Answer::Rows(b"<html>".to_vec(), None));
    why(tail.rows(OURS, 1).await);

    say(Answer::Nothing);
    let started = Instant::now();
    let text = why(tail.rows(OURS, 1).await);
    assert!(text.contains("timed out"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!text.contains("canary"), "{text}");

    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let tail = self::tail(Url::parse(&format!("http://user:canary@{address}")).unwrap());
    let text = why(tail.rows(OURS, 1).await);
    assert!(
        text.contains("refused") && !text.contains("canary"),
        "{text}"
    );
}
