//! Cells of a spreadsheet over HTTP, with patience.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::cells::{Cell, parse_csv};
use super::token::ServiceAccount;
use crate::error::{Error, Kind, Result, chain};
use crate::stores::SheetsSettings;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to go on trying.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) spreadsheet: String,
    pub(super) tab: Option<String>,
    /// The declared range from the header row on, such as `A3:I`.
    pub(super) range: Option<String>,
    /// Rows above the header, where no range leaves them out.
    pub(super) skip: usize,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    hint: Option<String>,
    status: Option<StatusCode>,
    /// It may work later; maybe the server says when.
    transient: bool,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn lasting(message: String) -> Self {
        Self {
            message,
            hint: None,
            status: None,
            transient: false,
            retry_after: None,
        }
    }

    fn with_hint(mut self, hint: String) -> Self {
        self.hint = Some(hint);
        self
    }

    pub(super) fn is_transient(&self) -> bool {
        self.transient
    }

    pub(super) fn error(self, table: &str) -> Error {
        let kind = if self.transient {
            Kind::Timeout
        } else {
            Kind::Broken
        };
        let error = Error::new(kind, format!("{table} can't be read: {}", self.message));
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None if kind == Kind::Timeout => error.with_hint("try again later"),
            None => error,
        }
    }
}

/// One store's way to Google.
pub(super) struct Client {
    http: reqwest::Client,
    api: String,
    public: String,
    account: Option<ServiceAccount>,
}

impl Client {
    pub(super) fn new(store: &str, settings: &SheetsSettings) -> Result<Self> {
        let broken = |what: &str| Error::new(Kind::Broken, format!("the store `{store}` {what}"));
        let account = match &settings.service_account {
            Some(json) => Some(ServiceAccount::new(json).map_err(|what| {
                broken(&format!("has a service account whose key {what}")).with_hint(format!(
                    "let `[stores.{store}]` name the file that Google Cloud made for the account"
                ))
            })?),
            None => None,
        };
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .user_agent("neurolake")
            .build()
            .map_err(|error| broken("can't use HTTP").with_source(error))?;
        Ok(Self {
            http,
            api: settings.api.trim_end_matches('/').to_owned(),
            public: settings.public.trim_end_matches('/').to_owned(),
            account,
        })
    }

    /// The cells, row by row. Tries again while that may help.
    pub(super) async fn cells(&self, place: &Place) -> Result<Vec<Vec<Cell>>, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(250);
        loop {
            let failure = match self.try_cells(place).await {
                Ok(mut rows) => {
                    rows.drain(..place.skip.min(rows.len()));
                    return Ok(rows);
                }
                Err(failure) => failure,
            };
            let wait = failure.retry_after.unwrap_or(pause);
            if !failure.transient || Instant::now() + wait > deadline {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
    }

    async fn try_cells(&self, place: &Place) -> Result<Vec<Vec<Cell>>, Failure> {
        match &self.account {
            Some(account) => self.values(account, place).await,
            None => self.export(place).await,
        }
    }

    async fn values(
        &self,
        account: &ServiceAccount,
        place: &Place,
    ) -> Result<Vec<Vec<Cell>>, Failure> {
        let title = match &place.tab {
            Some(tab) => tab.clone(),
            None => self.first_tab(account, place).await?,
        };
        let mut range = format!("'{}'", title.replace('\'', "''"));
        if let Some(cells) = &place.range {
            range = format!("{range}!{cells}");
        }
        let path = ["v4", "spreadsheets", &place.spreadsheet, "values", &range];
        let mut url = address(&self.api, &path)?;
        url.query_pairs_mut()
            .append_pair("valueRenderOption", "UNFORMATTED_VALUE")
            .append_pair("dateTimeRenderOption", "SERIAL_NUMBER")
            .append_pair("majorDimension", "ROWS");
        let answer = self.authorised(account, url, place).await?;
        let values: Values = parsed(&answer)?;
        let rows = values.values.into_iter();
        Ok(rows
            .map(|row| row.into_iter().map(Cell::from_json).collect())
            .collect())
    }

    async fn first_tab(&self, account: &ServiceAccount, place: &Place) -> Result<String, Failure> {
        let mut url = address(&self.api, &["v4", "spreadsheets", &place.spreadsheet])?;
        url.query_pairs_mut()
            .append_pair("fields", "sheets.properties.title");
        let answer = self.authorised(account, url, place).await?;
        let spreadsheet: Spreadsheet = parsed(&answer)?;
        let first = spreadsheet.sheets.into_iter().next();
        first
            .map(|sheet| sheet.properties.title)
            .ok_or_else(|| Failure::lasting("the spreadsheet has no tab".to_owned()))
    }

    /// Asks with a token; with a new one if the first is refused.
    async fn authorised(
        &self,
        account: &ServiceAccount,
        url: Url,
        place: &Place,
    ) -> Result<Bytes, Failure> {
        let token = account.token(&self.http, None).await?;
        let mut answer = self.with_token(url.clone(), &token).await;
        if answer
            .as_ref()
            .is_err_and(|failure| failure.status == Some(StatusCode::UNAUTHORIZED))
        {
            let token = account.token(&self.http, Some(&token)).await?;
            answer = self.with_token(url, &token).await;
        }
        answer.map_err(|failure| match failure.status {
            Some(StatusCode::FORBIDDEN) => failure.with_hint(format!(
                "share the spreadsheet with `{}` as a viewer",
                account.email
            )),
            Some(StatusCode::NOT_FOUND) => failure.with_hint(format!(
                "correct the id `{}` in the declaration",
                place.spreadsheet
            )),
            Some(StatusCode::BAD_REQUEST) => {
                failure.with_hint("correct `tab` and `range` in the declaration".to_owned())
            }
            _ => failure,
        })
    }

    async fn with_token(&self, url: Url, token: &SecretString) -> Result<Bytes, Failure> {
        let request = self.http.get(url).bearer_auth(token.expose_secret());
        Ok(send(request, "Google Sheets").await?.body)
    }

    /// A public spreadsheet as CSV.
    async fn export(&self, place: &Place) -> Result<Vec<Vec<Cell>>, Failure> {
        let id = place.spreadsheet.as_str();
        let tab = place.tab.as_deref();
        let gid = tab.and_then(|tab| tab.strip_prefix("gid:"));
        let mut url = if tab.is_some() && gid.is_none() {
            let mut url = address(&self.public, &["spreadsheets", "d", id, "gviz", "tq"])?;
            url.query_pairs_mut()
                .append_pair("tqx", "out:csv")
                .append_pair("headers", "1")
                .append_pair("sheet", tab.unwrap_or_default());
            url
        } else {
            let mut url = address(&self.public, &["spreadsheets", "d", id, "export"])?;
            url.query_pairs_mut().append_pair("format", "csv");
            if let Some(gid) = gid {
                url.query_pairs_mut().append_pair("gid", gid);
            }
            url
        };
        if let Some(range) = &place.range {
            url.query_pairs_mut().append_pair("range", range);
        }
        let not_public = || {
            "let the store have a `service_account`, or share the spreadsheet with everyone who \
             has the link"
                .to_owned()
        };
        let answer = send(self.http.get(url), "Google Sheets")
            .await
            .map_err(|failure| match failure.status {
                Some(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND) => {
                    failure.with_hint(not_public())
                }
                _ => failure,
            })?;
        if !answer.is_csv {
            // A page that asks to log in.
            return Err(Failure::lasting("the spreadsheet is not public".to_owned())
                .with_hint(not_public()));
        }
        let text = String::from_utf8(answer.body.to_vec())
            .map_err(|_| Failure::lasting("the answer is not UTF-8".to_owned()))?;
        Ok(parse_csv(&text))
    }
}

#[derive(Deserialize)]
struct Values {
    /// Missing where all cells are empty.
    #[serde(default)]
    values: Vec<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct Spreadsheet {
    #[serde(default)]
    sheets: Vec<Sheet>,
}

#[derive(Deserialize)]
struct Sheet {
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    title: String,
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|_| Failure::lasting("the answer of Google Sheets is not understood".to_owned()))
}

fn address(base: &str, path: &[&str]) -> Result<Url, Failure> {
    let wrong = || Failure::lasting("the address of Google Sheets is not `https://...`".to_owned());
    let mut url = Url::parse(base).map_err(|_| wrong())?;
    url.path_segments_mut()
        .map_err(|()| wrong())?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

pub(super) struct Answer {
    pub(super) body: Bytes,
    is_csv: bool,
}

/// One request. No address stands in an error: it may come from a key file.
pub(super) async fn send(request: RequestBuilder, what: &str) -> Result<Answer, Failure> {
    let unreachable = |error: reqwest::Error| Failure {
        message: format!("{what} can't be reached: {}", chain(&error.without_url())),
        hint: None,
        status: None,
        transient: true,
        retry_after: None,
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let headers = response.headers();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER)
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    let is_csv = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/csv"));
    let body = response.bytes().await.map_err(unreachable)?;
    if status.is_success() {
        return Ok(Answer { body, is_csv });
    }
    Err(Failure {
        message: format!(
            "{what} answers {}: {}",
            status.as_u16(),
            said(&body, status)
        ),
        hint: None,
        status: Some(status),
        transient: status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
        retry_after,
    })
}

/// What Google's body says about an error: `{"error": {"message": ...}}`, or of the token's
/// endpoint `{"error": ..., "error_description": ...}`.
fn said(body: &Bytes, status: StatusCode) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = body["error"]["message"]
        .as_str()
        .or_else(|| body["error_description"].as_str())
        .or_else(|| body["error"].as_str());
    let message = message.or(status.canonical_reason()).unwrap_or("no reason");
    message.chars().take(300).collect()
}
