//! Google Sheets against a local server that verifies the signed claim and speaks as Google does.

use std::collections::{BTreeMap, VecDeque};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use neurolake_query::{Error, Kind, Lake, Request, SheetsSettings, Store, Stores, datafusion};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

const EMAIL: &str = "reader@project.iam.gserviceaccount.com";

/// A throw-away key.
fn private_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let output = Command::new("openssl")
            .args([
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    })
}

/// What the server knows and was asked.
#[derive(Default)]
struct Google {
    address: String,
    requests: Vec<String>,
    tokens: usize,
    /// Answers in place of the next ones.
    refusals: VecDeque<(StatusCode, Option<&'static str>, Value)>,
    values: Value,
    csv: &'static str,
    html: bool,
}

type Shared = Arc<Mutex<Google>>;

/// Checks the claim as RFC 7523 and Google demand it.
fn verified(google: &Google, form: &str) {
    let claim = form
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .expect("the form of a grant");
    let [header, claims, signature] = claim.split('.').collect::<Vec<_>>()[..] else {
        panic!("{claim} has not three parts");
    };
    let body: String = private_key()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public
        .verify(message.as_bytes(), &signature)
        .expect("a valid signature");
    let decoded =
        |part| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    assert_eq!(decoded(header), json!({"alg": "RS256", "typ": "JWT"}));
    let claims = decoded(claims);
    assert_eq!(claims["iss"], EMAIL);
    assert_eq!(claims["aud"], format!("{}/token", google.address));
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/spreadsheets.readonly"
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let ends = claims["exp"].as_u64().unwrap();
    assert!(ends > now && ends <= now + 3600);
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut google = shared.lock().unwrap();
    google.requests.push(format!("{method} {uri}"));
    if method == Method::POST && uri.path() == "/token" {
        verified(&google, std::str::from_utf8(&body).unwrap());
        google.tokens += 1;
        let token = format!("canary-token-{}", google.tokens);
        let answer = json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"});
        return answer.to_string().into_response();
    }
    if let Some((status, retry_after, body)) = google.refusals.pop_front() {
        let mut response = (status, body.to_string()).into_response();
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.parse().unwrap());
        }
        return response;
    }
    if uri.path().starts_with("/v4/") {
        let expected = format!("Bearer canary-token-{}", google.tokens);
        assert_eq!(headers[header::AUTHORIZATION], expected.as_str());
        if uri.path().contains("/values/") {
            let query = uri.query().unwrap();
            assert!(query.contains("valueRenderOption=UNFORMATTED_VALUE"));
            assert!(query.contains("dateTimeRenderOption=SERIAL_NUMBER"));
            return json!({"range": "x", "majorDimension": "ROWS", "values": google.values})
                .to_string()
                .into_response();
        }
        return json!({"sheets": [{"properties": {"title": "First"}}]})
            .to_string()
            .into_response();
    }
    let kind = if google.html {
        "text/html"
    } else {
        "text/csv; charset=utf-8"
    };
    ([(header::CONTENT_TYPE, kind)], google.csv).into_response()
}

async fn google(values: Value) -> Shared {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shared = Shared::new(Mutex::new(Google {
        address: format!("http://{}", listener.local_addr().unwrap()),
        values,
        ..Google::default()
    }));
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, router).await });
    shared
}

fn key_file(address: &str) -> String {
    json!({
        "type": "service_account", "client_email": EMAIL, "private_key": private_key(),
        "private_key_id": "canary-id", "token_uri": format!("{address}/token"),
    })
    .to_string()
}

fn column(name: &str, data_type: Value) -> Value {
    json!({"name": name, "type": data_type, "nullable": true})
}

fn needed(name: &str, data_type: Value) -> Value {
    json!({"name": name, "type": data_type, "nullable": false})
}

/// The table `db.t` over the server.
fn lake(google: &Shared, source: Value, columns: &[Value], key: Option<&str>) -> Lake {
    let mut full = json!({"kind": "sheet", "spreadsheet": "sheet/1", "header_row": 1});
    let fields = full.as_object_mut().unwrap();
    fields.extend(source.as_object().unwrap().clone());
    let catalog = serde_json::from_value(json!({
        "format_version": 1, "name": "lake",
        "databases": [{
            "name": "db", "location": {"file": "src/lib.rs", "line": 1},
            "tables": [{
                "name": "t", "store": "workspace", "columns": columns, "source": full,
                "rust_path": "test::T", "location": {"file": "src/lib.rs", "line": 1},
            }],
        }],
    }))
    .unwrap();
    let address = google.lock().unwrap().address.clone();
    let settings = SheetsSettings {
        service_account: key.map(Into::into),
        api: address.clone(),
        public: address,
        ..SheetsSettings::default()
    };
    let by_name = BTreeMap::from([("workspace".to_owned(), Store::Sheets(settings))]);
    Lake::builder(catalog)
        .stores(Stores { by_name })
        .build()
        .unwrap()
}

fn with_account(google: &Shared, source: Value, columns: &[Value]) -> Lake {
    let key = key_file(&google.lock().unwrap().address);
    lake(google, source, columns, Some(&key))
}

async fn ask(lake: &Lake, sql: &str) -> Result<String, Error> {
    let answer = lake.query(Request::new(sql)).await?;
    let batches: Vec<_> = answer.stream.try_collect().await?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

async fn refused(lake: &Lake) -> Error {
    let error = ask(lake, "select * from db.t")
        .await
        .expect_err("a refusal");
    let text = format!("{error:?} {error} {:?}", error.hint);
    assert!(
        !text.contains("canary") && !text.contains("-----"),
        "a secret is in {text}"
    );
    error
}

fn requests(google: &Shared) -> usize {
    google.lock().unwrap().requests.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_reads_typed_columns() {
    let google = google(json!([
        [
            "Event ID",
            " started_on ",
            "",
            "SERIOUS",
            "Weight",
            "At",
            "Count",
            "Share",
            "unused"
        ],
        ["AE-1", 46082, "", true, 12.5, 46082.25, 3, 0.5, "x"],
        [],
        [
            "AE-2",
            "2026-03-02",
            "",
            "FALSE",
            "7.25",
            "2026-03-01 12:00",
            "4"
        ],
        ["", "", ""],
        [17],
    ]))
    .await;
    let lake = with_account(
        &google,
        json!({"tab": "AE's log", "range": "A3:I", "header_row": 3, "refresh": "1h"}),
        &[
            needed("event_id", json!("string")),
            column("started on", json!("date")),
            column("serious", json!("bool")),
            column("weight", json!({"decimal": {"precision": 6, "scale": 2}})),
            column("at", json!("timestamp")),
            column("count", json!("int32")),
            column("share", json!("float64")),
        ],
    );
    // Many ask at once; Google is asked once.
    let all: Vec<_> = (0..8)
        .map(|_| {
            let lake = lake.session();
            tokio::spawn(async move { ask(&lake, "select * from db.t").await.unwrap() })
        })
        .collect();
    let expected = "\
+----------+------------+---------+--------+----------------------+-------+-------+
| event_id | started on | serious | weight | at                   | count | share |
+----------+------------+---------+--------+----------------------+-------+-------+
| AE-1     | 2026-03-01 | true    | 12.50  | 2026-03-01T06:00:00Z | 3     | 0.5   |
| AE-2     | 2026-03-02 | false   | 7.25   | 2026-03-01T12:00:00Z | 4     |       |
| 17       |            |         |        |                      |       |       |
+----------+------------+---------+--------+----------------------+-------+-------+";
    for answer in all {
        assert_eq!(answer.await.unwrap(), expected);
    }
    let count = ask(
        &lake.session(),
        "select count(*) from db.t where weight > 7.3",
    )
    .await
    .unwrap();
    assert!(count.contains("| 1        |"), "{count}");
    let asked = google.lock().unwrap().requests.clone();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0], "POST /token");
    assert!(
        asked[1].starts_with("GET /v4/spreadsheets/sheet%2F1/values/'AE''s%20log'!A3:I?"),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_pass_are_waited_for_and_others_explained() {
    let google = google(json!([["a"], [1]])).await;
    let later = |status, after| (status, Some(after), json!({"error": {"message": "later"}}));
    let said = |status, message: &str| (status, None, json!({"error": {"message": message}}));
    google.lock().unwrap().refusals.extend([
        said(StatusCode::UNAUTHORIZED, "token expired"),
        later(StatusCode::TOO_MANY_REQUESTS, "0"),
        later(StatusCode::SERVICE_UNAVAILABLE, "0"),
    ]);
    let source = json!({"tab": "T", "refresh": "1s"});
    let patient = with_account(&google, source.clone(), &[column("a", json!("int8"))]);
    ask(&patient, "select * from db.t").await.unwrap();
    {
        let google = google.lock().unwrap();
        assert_eq!(google.tokens, 2, "a refused token is replaced once");
        assert_eq!(google.requests.len(), 2 + 4, "{:?}", google.requests);
    }
    // Once it is too old, Google is asked again; what it said last serves while it can't answer.
    let before = requests(&google);
    google
        .lock()
        .unwrap()
        .refusals
        .push_back(later(StatusCode::TOO_MANY_REQUESTS, "600"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while requests(&google) == before {
        assert!(
            Instant::now() < deadline,
            "the answer never becomes too old"
        );
        ask(&patient.session(), "select * from db.t").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(google.lock().unwrap().refusals.is_empty());
    // Without an earlier answer there is none.
    let cases = [
        (
            later(StatusCode::TOO_MANY_REQUESTS, "600"),
            Kind::Timeout,
            "answers 429: later",
            "try again",
        ),
        (
            said(StatusCode::FORBIDDEN, "The caller does not have permission"),
            Kind::Broken,
            "does not have permission",
            EMAIL,
        ),
        (
            said(StatusCode::NOT_FOUND, "Requested entity was not found."),
            Kind::Broken,
            "was not found",
            "sheet/1",
        ),
        (
            said(StatusCode::BAD_REQUEST, "Unable to parse range: T"),
            Kind::Broken,
            "Unable to parse range",
            "`tab`",
        ),
    ];
    for (refusal, kind, message, hint) in cases {
        google.lock().unwrap().refusals.push_back(refusal);
        let error = refused(&with_account(&google, source.clone(), &[])).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(message), "{error}");
        assert!(
            error.hint.as_ref().unwrap().contains(hint),
            "{:?}",
            error.hint
        );
    }
    // Two refused tokens are no accident.
    google.lock().unwrap().refusals.extend([
        said(StatusCode::UNAUTHORIZED, "no"),
        said(StatusCode::UNAUTHORIZED, "no"),
    ]);
    let error = refused(&with_account(&google, source.clone(), &[])).await;
    assert!(error.message.contains("answers 401: no"), "{error}");
    // Keys that are none.
    let broken = [
        "canary",
        r#"{"client_email": "x", "private_key": "canary"}"#,
        r#"{"client_email": "x", "private_key": "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----"}"#,
        r#"{"client_email": ["canary"], "private_key": "x"}"#,
    ];
    for key in broken {
        let error = refused(&lake(&google, source.clone(), &[], Some(key))).await;
        assert!(error.message.contains("service account"), "{error}");
    }
    // A server that is not there.
    let key = key_file("http://127.0.0.1:1/canary");
    let error = refused_soon(&lake(&google, source, &[], Some(&key))).await;
    assert!(error.message.contains("can't be reached"), "{error}");
}

/// Waits for the end of the client's patience.
async fn refused_soon(lake: &Lake) -> Error {
    tokio::time::timeout(Duration::from_mins(1), refused(lake))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_does_not_fit_is_named() {
    let table = |cell: Value| json!([["name", "x"], ["a", 1], [], ["b", cell]]);
    let cases = [
        (
            table(json!(12.5)),
            json!("int32"),
            "the cell B4 of the tab `T` holds \"12.5\", but the column `x` is declared as a whole number (int32)",
        ),
        (table(json!("yes")), json!("int32"), "holds \"yes\""),
        (table(json!(300)), json!("int8"), "holds \"300\""),
        (
            table(json!("1,5")),
            json!("float64"),
            "is declared as a number",
        ),
        (table(json!("#N/A")), json!("string"), "holds \"#N/A\""),
        (
            table(json!(1.005)),
            json!({"decimal": {"precision": 5, "scale": 2}}),
            "at most 5 digits, 2 of them behind the point",
        ),
        (
            json!([["name", "x"], ["a", "3/1/2026"]]),
            json!("date"),
            "the cell B2",
        ),
        (
            json!([["name", "x"], ["a", "soon"]]),
            json!("timestamp"),
            "a timestamp",
        ),
        (
            json!([["name", "x"], ["a", "yes"]]),
            json!("bool"),
            "a truth value",
        ),
    ];
    for (values, data_type, expected) in cases {
        let google = google(values).await;
        let lake = with_account(&google, json!({"tab": "T"}), &[column("x", data_type)]);
        let error = refused(&lake).await;
        assert_eq!(error.kind, Kind::Broken);
        assert!(error.message.contains(expected), "{error}");
    }
    let google = google(json!([["name", "x", "Name"], ["canary", ""], ["b", 2]])).await;
    let lake = with_account(&google, json!({"tab": "T"}), &[needed("x", json!("int32"))]);
    let error = refused(&lake).await;
    assert!(
        error
            .message
            .contains("the cell B2 of the tab `T` is empty"),
        "{error}"
    );
    let lake = with_account(
        &google,
        json!({"tab": "T"}),
        &[column("name", json!("string"))],
    );
    let error = refused(&lake).await;
    assert!(
        error
            .message
            .contains("stands more than once in the tab `T`: in A1 and C1"),
        "{error}"
    );
    let lake = with_account(
        &google,
        json!({"tab": "T"}),
        &[column("y", json!("int8")), column("z", json!("int8"))],
    );
    let error = refused(&lake).await;
    assert_eq!(
        error.message,
        "db.t: row 1 of the tab `T` has no column `y`, `z`; it has `name`, `x`, `Name`"
    );
    google.lock().unwrap().values = json!([["x"], ["canary"]]);
    let mut secret = column("x", json!("int32"));
    secret["pii"] = json!(true);
    let error = refused(&with_account(&google, json!({"tab": "T"}), &[secret])).await;
    assert!(
        error
            .message
            .contains("the cell A2 of the tab `T` holds a value, but"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn undeclared_columns_are_guessed_only_when_all_values_agree() {
    let google = google(json!([
        ["n", "mixed", "ok", "", "code"],
        [1, 1, true, "note", "007"],
        [2.5, "x", false],
    ]))
    .await;
    let lake = with_account(&google, json!({}), &[]);
    let answer = ask(&lake, "select *, arrow_typeof(n) as t from db.t")
        .await
        .unwrap();
    assert_eq!(
        answer,
        "\
+-----+-------+-------+------+---------+
| n   | mixed | ok    | code | t       |
+-----+-------+-------+------+---------+
| 1.0 | 1     | true  | 007  | Float64 |
| 2.5 | x     | false |      | Float64 |
+-----+-------+-------+------+---------+"
    );
    let asked = google.lock().unwrap().requests.clone();
    assert!(
        asked[1].contains("fields=sheets.properties.title"),
        "{asked:?}"
    );
    assert!(asked[2].contains("/values/'First'?"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_sheet_is_read_without_an_account() {
    let google = google(json!(null)).await;
    google.lock().unwrap().csv =
        "\"Code\",\"Share\",\"When\"\r\n\"P-1\",\"12.5%\",\"2026-03-01\"\r\n\"P,2\",\"\",\"\"\r\n";
    let columns = [
        needed("code", json!("string")),
        column("share", json!({"decimal": {"precision": 6, "scale": 3}})),
        column("when", json!("date")),
    ];
    let expected = "\
+------+-------+------------+
| code | share | when       |
+------+-------+------------+
| P-1  | 0.125 | 2026-03-01 |
| P,2  |       |            |
+------+-------+------------+";
    let sources = [
        (
            json!({"tab": "My tab"}),
            "GET /spreadsheets/d/sheet%2F1/gviz/tq?tqx=out%3Acsv&headers=1&sheet=My+tab",
        ),
        (
            json!({"tab": "gid:77"}),
            "GET /spreadsheets/d/sheet%2F1/export?format=csv&gid=77",
        ),
        (
            json!({"range": "A1:C"}),
            "GET /spreadsheets/d/sheet%2F1/export?format=csv&range=A1%3AC",
        ),
    ];
    for (source, request) in sources {
        let lake = lake(&google, source, &columns, None);
        assert_eq!(ask(&lake, "select * from db.t").await.unwrap(), expected);
        assert_eq!(google.lock().unwrap().requests.last().unwrap(), request);
    }
    google.lock().unwrap().html = true;
    let error = refused(&lake(&google, json!({}), &columns, None)).await;
    assert!(
        error.message.contains("the spreadsheet is not public"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("`service_account`"));
}
