//! Rows in DynamoDB, as Delta's `S3DynamoDBLogStore` and deltalake before 1.0 keep them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector,
};
use object_store::{Error, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use url::Url;

use super::{Arbiter, Row};

/// How often a request is sent that is throttled or not answered.
const MOST_TRIES: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(5);

/// Which table of DynamoDB keeps the rows.
#[derive(Debug, Clone)]
pub struct DynamoDbSettings {
    /// Its name. Its keys are `tablePath` (hash) and `fileName` (range), both texts; rows expire by
    /// `expireTime`.
    pub table: String,
    /// Region of AWS.
    pub region: String,
    /// Where DynamoDB answers. `None`: at AWS.
    pub endpoint: Option<Url>,
}

impl DynamoDbSettings {
    /// The usual table.
    pub fn new(region: &str) -> Self {
        Self {
            table: "delta_log".into(),
            region: region.to_owned(),
            endpoint: None,
        }
    }
}

/// Keeps rows in DynamoDB.
pub struct DynamoDb {
    settings: DynamoDbSettings,
    endpoint: Url,
    credentials: AwsCredentialProvider,
    client: HttpClient,
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb")
            .field("table", &self.settings.table)
            .field("endpoint", &self.endpoint.as_str())
            .finish_non_exhaustive()
    }
}

/// Why a request has no result.
enum Refusal {
    /// The row isn't as the request wants it.
    Condition,
    /// There is no such table.
    NoTable(Error),
    Failed(Error),
}

impl DynamoDb {
    /// Nothing is asked yet. Credentials are those of the object store, as a rule:
    /// [`object_store::aws::AmazonS3::credentials`].
    ///
    /// # Errors
    /// The settings make no address.
    pub fn new(
        settings: DynamoDbSettings,
        credentials: AwsCredentialProvider,
    ) -> Result<Self, Error> {
        let endpoint = match &settings.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Url::parse(&format!(
                "https://dynamodb.{}.amazonaws.com",
                settings.region
            ))
            .map_err(|error| failed(error.to_string()))?,
        };
        let options = ClientOptions::new()
            .with_allow_http(endpoint.scheme() == "http")
            .with_connect_timeout(PATIENCE)
            .with_timeout(PATIENCE);
        Ok(Self {
            client: ReqwestConnector::default().connect(&options)?,
            endpoint,
            credentials,
            settings,
        })
    }

    /// Sends requests in another way.
    #[must_use]
    pub fn with_client(self, client: HttpClient) -> Self {
        Self { client, ..self }
    }

    /// Makes the table, if there is none.
    ///
    /// # Errors
    /// DynamoDB refuses.
    pub async fn create_table(&self) -> Result<(), Error> {
        let table = &self.settings.table;
        // Who may only use it should not need to be allowed to make it.
        let any = json!({ "TableName": table, "Key": Self::key("none", 0) });
        match self.ask("GetItem", &any).await {
            Err(Refusal::NoTable(_)) => {}
            found => return Ok(found.map(drop)?),
        }
        let definition = json!({
            "TableName": table,
            "AttributeDefinitions": [
                { "AttributeName": "tablePath", "AttributeType": "S" },
                { "AttributeName": "fileName", "AttributeType": "S" },
            ],
            "KeySchema": [
                { "AttributeName": "tablePath", "KeyType": "HASH" },
                { "AttributeName": "fileName", "KeyType": "RANGE" },
            ],
            "BillingMode": "PAY_PER_REQUEST",
        });
        match self.ask("CreateTable", &definition).await {
            Ok(_) => {}
            Err(Refusal::Failed(error)) if error.to_string().contains("ResourceInUse") => {
                return Ok(());
            }
            Err(refusal) => return Err(refusal.into()),
        }
        for _ in 0..MOST_TRIES {
            let described = self
                .ask("DescribeTable", &json!({ "TableName": table }))
                .await?;
            if described["Table"]["TableStatus"] == "ACTIVE" {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        let expiry = json!({
            "TableName": table,
            "TimeToLiveSpecification": { "AttributeName": "expireTime", "Enabled": true },
        });
        self.ask("UpdateTimeToLive", &expiry).await?;
        Ok(())
    }

    async fn ask(&self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.send(operation, body).await {
                Ok((StatusCode::OK, answer)) => return Ok(answer),
                Ok((status, answer)) => {
                    let kind = answer["__type"].as_str().unwrap_or_default();
                    let kind = kind.rsplit('#').next().unwrap_or_default();
                    if kind == "ConditionalCheckFailedException" {
                        return Err(Refusal::Condition);
                    }
                    if kind == "ResourceNotFoundException" {
                        let (table, place) = (&self.settings.table, &self.endpoint);
                        let error = failed(format!("there is no table `{table}` at {place}"));
                        return Err(Refusal::NoTable(error));
                    }
                    let text = answer["message"].as_str().or(answer["Message"].as_str());
                    let text = text.unwrap_or_default();
                    let error = failed(format!("{operation}: {status} {kind} {text}"));
                    if !is_passing(status, kind) {
                        return Err(Refusal::Failed(error));
                    }
                    error
                }
                Err(error) => error,
            };
            if tries >= MOST_TRIES {
                return Err(Refusal::Failed(error));
            }
            tracing::debug!(%error, "DynamoDB is asked again");
            sleep(Duration::from_millis(50) * 2u32.pow(tries.min(6))).await;
        }
    }

    async fn send(&self, operation: &str, body: &Value) -> Result<(StatusCode, Value), Error> {
        let credential = self.credentials.get_credential().await?;
        let mut request = HttpRequest::new(HttpRequestBody::from(body.to_string()));
        *request.method_mut() = Method::POST;
        let uri = self.endpoint.as_str().parse();
        *request.uri_mut() = uri.map_err(|_| failed(format!("no address: {}", self.endpoint)))?;
        let target = HeaderValue::from_str(&format!("DynamoDB_20120810.{operation}"));
        let target = target.map_err(|error| failed(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert("x-amz-target", target);
        let json = HeaderValue::from_static("application/x-amz-json-1.0");
        headers.insert("content-type", json);
        AwsAuthorizer::new(&credential, "dynamodb", &self.settings.region)
            .authorize(&mut request, None);
        let answer = self.client.execute(request).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await;
        let body = body.map_err(|error| failed(error.to_string()))?;
        // An error of a proxy is no JSON.
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    fn key(table: &str, version: u64) -> Value {
        json!({
            "tablePath": { "S": table },
            "fileName": { "S": format!("{version:020}.json") },
        })
    }
}

/// Whether the same request may succeed a moment later.
fn is_passing(status: StatusCode, kind: &str) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || matches!(
            kind,
            "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TransactionConflictException"
                | "LimitExceededException"
        )
}

#[async_trait]
impl Arbiter for DynamoDb {
    async fn claim(&self, table: &str, row: &Row) -> Result<bool, Error> {
        let mut item = Self::key(table, row.version);
        item["tempPath"] = json!({ "S": row.temporary });
        item["complete"] = json!({ "S": "false" });
        let body = json!({
            "TableName": self.settings.table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(fileName)",
        });
        match self.ask("PutItem", &body).await {
            Ok(_) => Ok(true),
            Err(Refusal::Condition) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn row(&self, table: &str, version: u64) -> Result<Option<Row>, Error> {
        let body = json!({
            "TableName": self.settings.table,
            "Key": Self::key(table, version),
            "ConsistentRead": true,
        });
        let answer = self.ask("GetItem", &body).await?;
        answer.get("Item").map(read).transpose()
    }

    async fn newest(&self, table: &str) -> Result<Option<Row>, Error> {
        let body = json!({
            "TableName": self.settings.table,
            "ConsistentRead": true,
            "Limit": 1,
            "ScanIndexForward": false,
            "KeyConditionExpression": "tablePath = :table",
            "ExpressionAttributeValues": { ":table": { "S": table } },
        });
        let answer = self.ask("Query", &body).await?;
        answer["Items"].get(0).map(read).transpose()
    }

    async fn complete(&self, table: &str, row: &Row, expires: SystemTime) -> Result<(), Error> {
        let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        let body = json!({
            "TableName": self.settings.table,
            "Key": Self::key(table, row.version),
            "UpdateExpression": "SET complete = :true, expireTime = :expires",
            "ConditionExpression": "complete = :false AND tempPath = :temporary",
            "ExpressionAttributeValues": {
                ":true": { "S": "true" },
                ":false": { "S": "false" },
                ":expires": { "N": expires.as_secs().to_string() },
                ":temporary": { "S": row.temporary },
            },
        });
        match self.ask("UpdateItem", &body).await {
            Ok(_) | Err(Refusal::Condition) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn read(item: &Value) -> Result<Row, Error> {
    let text = |name: &str| item[name]["S"].as_str();
    let version = text("fileName").and_then(|name| name.strip_suffix(".json")?.parse().ok());
    match (version, text("tempPath"), text("complete")) {
        (Some(version), Some(temporary), Some(complete)) => Ok(Row {
            version,
            temporary: temporary.to_owned(),
            complete: complete == "true",
        }),
        _ => Err(failed(format!("a row makes no sense: {item}"))),
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Condition => failed("a condition failed that was not set".into()),
            Refusal::NoTable(error) | Refusal::Failed(error) => error,
        }
    }
}

fn failed(reason: String) -> Error {
    Error::Generic {
        store: "DynamoDB",
        source: reason.into(),
    }
}
