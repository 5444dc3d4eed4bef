//! One message of a client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Schema;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, Command, DoPutPreparedStatementResult,
    ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Criteria,
    Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, Result as ActionResult, SchemaResult, Ticket,
};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use neurolake_query::{Lake, Prepared};
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status, Streaming};

use super::failure::{
    busy, of_engine, read_only, refuse, too_long, unauthenticated, unknown, unreadable, with_id,
    wordless,
};
use super::rows::{self, Start, Wishes};
use super::seal::{Person, SESSION, Seal, Statement, TICKET, now};
use super::{about, encode, parameters};
use crate::accounts::{Principal, hashed};
use crate::doors::Shared;
use crate::encode::pieces;
use crate::identity::RequestId;
use crate::journal::Log;
use crate::running::Task;

type Answers<T> = BoxStream<'static, Result<T, Status>>;

const AUTHORIZATION: &str = "authorization";
/// Drivers in Go leave out the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bytes of the columns of a row of parameters, besides its values.
const COLUMNS: usize = 64 << 10;

const ACTIONS: [(&str, &str); 7] = [
    (
        "CreatePreparedStatement",
        "Takes a statement with parameters.",
    ),
    (
        "ClosePreparedStatement",
        "Does nothing: nothing is kept for a prepared statement.",
    ),
    (
        "BeginTransaction",
        "Does nothing: nothing is ever written that could be taken back.",
    ),
    ("EndTransaction", "Does nothing."),
    (
        "CancelFlightInfo",
        "Ends the query whose rows are being read.",
    ),
    ("CancelQuery", "The same for older clients."),
    (
        "RenewFlightEndpoint",
        "Gives a ticket another five minutes.",
    ),
];

/// What all clients share.
#[derive(Clone)]
pub(super) struct Service(Arc<State>);

struct State {
    shared: Arc<Shared>,
    seal: Seal,
    wishes: Wishes,
}

/// What a client asks for.
enum Asked {
    Statement(Statement),
    About(Command),
}

impl Service {
    pub(super) fn new(shared: Arc<Shared>) -> io::Result<Self> {
        Ok(Self(Arc::new(State {
            shared,
            seal: Seal::new()?,
            wishes: Wishes::default(),
        })))
    }

    /// Whoever asks, by the header `authorization`.
    fn principal(&self, metadata: &MetadataMap) -> Result<Arc<Principal>, Status> {
        let accounts = self.0.shared.accounts.load();
        if let Some(everybody) = accounts.everybody() {
            return Ok(Arc::clone(everybody));
        }
        let known = match basic(metadata) {
            Some((name, token)) => accounts.proved(&name, &token),
            None => self.bearer(metadata),
        };
        known.ok_or_else(unauthenticated)
    }

    /// Whoever shows a token: its own, or the one that it was given for a name and a password.
    fn bearer(&self, metadata: &MetadataMap) -> Option<Arc<Principal>> {
        let accounts = self.0.shared.accounts.load();
        let header = authorization(metadata)?;
        if let Some(principal) = accounts.of_authorization(header) {
            return Some(principal);
        }
        let (_, token) = header.split_once(' ')?;
        let sealed = BASE64.decode(token.trim()).ok()?;
        let person: Person = self.0.seal.open(&sealed).ok()?;
        accounts.proved_by(&person.name, &person.digest)
    }

    /// What the client shows from now on, for a name and a password.
    fn sign_in(&self, name: &str, password: &str) -> Result<String, Status> {
        let accounts = self.0.shared.accounts.load();
        if accounts.everybody().is_none() && accounts.proved(name, password).is_none() {
            return Err(unauthenticated());
        }
        let person = Person {
            name: name.to_owned(),
            digest: hashed(password),
        };
        let token = self.0.seal.close(&person, SESSION);
        Ok(BASE64.encode(token))
    }

    fn most(&self) -> usize {
        self.0.shared.settings.statement_bytes
    }

    /// A statement that came in a message.
    fn statement(&self, sql: String) -> Result<Statement, Status> {
        if sql.len() > self.most() {
            return Err(too_long(self.most()));
        }
        if sql.trim().is_empty() {
            return Err(refuse(
                Code::InvalidArgument,
                "the statement is empty",
                Some("send `select ...`"),
            ));
        }
        Ok(Statement {
            sql: parameters::numbered(sql).map_err(|error| of_engine(&error))?,
            ..Statement::default()
        })
    }

    fn asked(&self, message: &[u8]) -> Result<Asked, Status> {
        let message = Any::decode(message).map_err(|_| unreadable("the command"))?;
        let command = Command::try_from(message).map_err(|_| unreadable("the command"))?;
        Ok(match command {
            Command::CommandStatementQuery(asked) => Asked::Statement(self.statement(asked.query)?),
            Command::CommandPreparedStatementQuery(asked) => {
                Asked::Statement(self.0.seal.open(&asked.prepared_statement_handle)?)
            }
            Command::TicketStatementQuery(ticket) => {
                Asked::Statement(self.0.seal.open(&ticket.statement_handle)?)
            }
            Command::CommandStatementUpdate(_)
            | Command::CommandStatementIngest(_)
            | Command::CommandPreparedStatementUpdate(_) => return Err(read_only()),
            Command::CommandStatementSubstraitPlan(_) => return Err(no_substrait()),
            command if about::schema(&command).is_some() => Asked::About(command),
            command => {
                let name = command.type_url();
                let name = name.rsplit('.').next().unwrap_or_default();
                let message = format!("`{name}` asks for nothing that is known here");
                return Err(refuse(Code::InvalidArgument, &message, None));
            }
        })
    }

    /// Looks at a statement on the threads of queries.
    async fn prepare(
        &self,
        principal: Arc<Principal>,
        statement: &Statement,
        deadline: Option<Duration>,
    ) -> Result<Prepared, Status> {
        let Ok(admitted) = self.0.shared.admission.admit().await else {
            return Err(busy());
        };
        let id = RequestId::fresh();
        let (id_too, shared) = (id.clone(), Arc::clone(&self.0.shared));
        let statement = statement.clone();
        let task = Task::start(&self.0.shared, async move {
            let outcome = look_at(&principal.lake, &statement).await;
            if let Err(error) = &outcome {
                // A statement that is fine has its line when it runs.
                Log::new(
                    &shared,
                    &principal,
                    "flight",
                    &id_too,
                    "arrow",
                    &statement.sql,
                )
                .end(&outcome, false);
                shared
                    .health
                    .saw(&shared.lake, &statement.sql, Err(error))
                    .await;
            }
            drop(admitted);
            outcome
        });
        let outcome = match deadline {
            None => task.outcome().await,
            Some(deadline) => {
                let outcome = tokio::time::timeout(deadline, task.outcome()).await;
                outcome.map_err(|_| out_of_time(deadline))?
            }
        };
        outcome.map_err(|error| with_id(of_engine(&error), &id))
    }

    /// Columns of what is asked for, and the ticket that gets it.
    async fn plan(
        &self,
        principal: Arc<Principal>,
        command: &[u8],
        deadline: Option<Duration>,
    ) -> Result<(Bytes, Bytes), Status> {
        match self.asked(command)? {
            Asked::About(command) => {
                let schema = about::schema(&command).ok_or_else(wordless)?;
                let schema = encode::schema(&schema).map_err(|error| of_engine(&error))?;
                Ok((schema, command.into_any().encode_to_vec().into()))
            }
            Asked::Statement(statement) => {
                let prepared = self.prepare(principal, &statement, deadline).await?;
                if let Some((name, _)) = prepared.parameters.first() {
                    return Err(refuse(
                        Code::InvalidArgument,
                        &format!("the parameter `{name}` has no value"),
                        Some("prepare the statement and bind a row of values"),
                    ));
                }
                let schema = encode::schema(&prepared.schema);
                let schema = schema.map_err(|error| of_engine(&error))?;
                let ticket = self.ticket(&Statement {
                    schema: schema.to_vec(),
                    number: self.0.seal.number(),
                    ..statement
                });
                Ok((schema, ticket))
            }
        }
    }

    fn ticket(&self, statement: &Statement) -> Bytes {
        let ticket = TicketStatementQuery {
            statement_handle: self.0.seal.close(statement, TICKET).into(),
        };
        ticket.as_any().encode_to_vec().into()
    }

    /// What a client needs to get the rows.
    async fn info(&self, request: Request<FlightDescriptor>) -> Result<FlightInfo, Status> {
        let principal = self.principal(request.metadata())?;
        let deadline = deadline(request.metadata());
        let descriptor = request.into_inner();
        let (schema, ticket) = self.plan(principal, &descriptor.cmd, deadline).await?;
        let info = FlightInfo::new()
            .with_descriptor(descriptor)
            .with_endpoint(endpoint(ticket));
        Ok(FlightInfo { schema, ..info })
    }

    /// Answers about the lake.
    async fn about(
        &self,
        principal: Arc<Principal>,
        command: Command,
    ) -> Result<Answers<FlightData>, Status> {
        let Ok(admitted) = self.0.shared.admission.admit().await else {
            return Err(busy());
        };
        let shared = Arc::clone(&self.0.shared);
        let task = Task::start(&self.0.shared, async move {
            let _admitted = admitted;
            let batch = about::rows(&shared, &principal.lake, command).await?;
            let mut messages = encode::Messages::new();
            let mut all = vec![messages.schema(&batch.schema())];
            for piece in pieces(&batch) {
                all.extend(messages.batch(&piece)?);
            }
            Ok(all)
        });
        let all = task.outcome().await.map_err(|error| of_engine(&error))?;
        Ok(stream::iter(all.into_iter().map(Ok)).boxed())
    }

    async fn create_prepared(
        &self,
        principal: Arc<Principal>,
        asked: ActionCreatePreparedStatementRequest,
        deadline: Option<Duration>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let statement = self.statement(asked.query)?;
        let prepared = self.prepare(principal, &statement, deadline).await?;
        let message = |schema: &Schema| encode::schema(schema).map_err(|error| of_engine(&error));
        let parameters = if prepared.parameters.is_empty() {
            Bytes::new()
        } else {
            message(&parameters::schema(prepared.parameters))?
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.0.seal.close(&statement, SESSION).into(),
            dataset_schema: message(&prepared.schema)?,
            parameter_schema: parameters,
        })
    }

    /// Binds a row to a prepared statement: from now on, it goes by another handle.
    async fn bind(
        &self,
        handle: &[u8],
        messages: impl futures::Stream<Item = Result<FlightData, Status>> + Send + 'static,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let mut statement: Statement = self.0.seal.open(handle)?;
        let most = self.most().saturating_sub(statement.sql.len()) + COLUMNS;
        // In a task of its own: whatever the bytes make of the decoder ends nothing but it.
        let task = Task::start(&self.0.shared, parameters::bind(messages, most));
        let row = task.finish().await;
        statement.parameters = row.ok_or_else(|| unreadable("the parameters"))??;
        let handle = self.0.seal.close(&statement, SESSION);
        Ok(DoPutPreparedStatementResult {
            prepared_statement_handle: Some(handle.into()),
        })
    }

    /// Ends the query of a flight. `false`: it doesn't run.
    fn cancel(&self, info: &FlightInfo) -> Result<bool, Status> {
        let mut is_any = false;
        for endpoint in &info.endpoint {
            let ticket = endpoint.ticket.clone().unwrap_or_default();
            if let Asked::Statement(statement) = self.asked(&ticket.ticket)? {
                is_any |= self.0.wishes.end(statement.number);
            }
        }
        Ok(is_any)
    }

    fn renew(&self, body: &[u8]) -> Result<FlightEndpoint, Status> {
        let request = arrow_flight::RenewFlightEndpointRequest::decode(body);
        let request = request.map_err(|_| unreadable("the action"))?;
        let endpoint_then = request.endpoint.unwrap_or_default();
        let ticket = endpoint_then.ticket.unwrap_or_default();
        Ok(endpoint(match self.asked(&ticket.ticket)? {
            Asked::Statement(statement) => self.ticket(&statement),
            Asked::About(command) => command.into_any().encode_to_vec().into(),
        }))
    }

    async fn act(&self, request: Request<Action>) -> Result<Option<Vec<u8>>, Status> {
        let principal = self.principal(request.metadata())?;
        let deadline = deadline(request.metadata());
        let Action { r#type, body } = request.into_inner();
        match r#type.as_str() {
            "CreatePreparedStatement" => {
                let asked = unpack(&body)?;
                let created = self.create_prepared(principal, asked, deadline).await?;
                Ok(Some(created.as_any().encode_to_vec()))
            }
            "ClosePreparedStatement" => {
                unpack::<ActionClosePreparedStatementRequest>(&body)?;
                Ok(None)
            }
            "BeginTransaction" => {
                let begun = ActionBeginTransactionResult {
                    transaction_id: Bytes::from_static(b"read-only"),
                };
                Ok(Some(begun.as_any().encode_to_vec()))
            }
            "EndTransaction" => Ok(None),
            "CancelFlightInfo" => {
                let asked = CancelFlightInfoRequest::decode(&*body);
                let info = asked.ok().and_then(|asked| asked.info);
                let info = info.ok_or_else(|| unreadable("the action"))?;
                if !self.cancel(&info)? {
                    return Err(not_running());
                }
                let result = CancelFlightInfoResult::new(CancelStatus::Cancelled);
                Ok(Some(result.encode_to_vec()))
            }
            "CancelQuery" => {
                let asked: ActionCancelQueryRequest = unpack(&body)?;
                let info = FlightInfo::decode(&*asked.info);
                let info = info.map_err(|_| unreadable("the action"))?;
                if !self.cancel(&info)? {
                    return Err(not_running());
                }
                let result = ActionCancelQueryResult {
                    result: CancelStatus::Cancelled as i32,
                };
                Ok(Some(result.as_any().encode_to_vec()))
            }
            "RenewFlightEndpoint" => Ok(Some(self.renew(&body)?.encode_to_vec())),
            "CreatePreparedSubstraitPlan" => Err(no_substrait()),
            "BeginSavepoint" | "EndSavepoint" => Err(unknown("there are no savepoints")),
            other => Err(unknown(&format!("there is no action `{other}`"))),
        }
    }
}

async fn look_at(lake: &Lake, statement: &Statement) -> neurolake_query::Result<Prepared> {
    let values = parameters::values(&statement.sql, &statement.parameters)?;
    lake.prepare(&statement.sql, values).await
}

fn endpoint(ticket: Bytes) -> FlightEndpoint {
    let end = now().saturating_add(TICKET.as_secs());
    FlightEndpoint::new()
        .with_ticket(Ticket::new(ticket))
        .with_expiration_time(prost_types::Timestamp {
            seconds: i64::try_from(end).unwrap_or(i64::MAX),
            nanos: 0,
        })
}

fn unpack<T: ProstMessageExt>(body: &[u8]) -> Result<T, Status> {
    let message = Any::decode(body).ok();
    let message = message.and_then(|message| message.unpack().ok().flatten());
    message.ok_or_else(|| unreadable("the action"))
}

fn no_substrait() -> Status {
    refuse(
        Code::Unimplemented,
        "plans in Substrait are not understood",
        Some("send the statement in SQL"),
    )
}

fn not_running() -> Status {
    refuse(
        Code::NotFound,
        "the query doesn't run",
        Some("it is over, or nobody reads its rows"),
    )
}

fn out_of_time(deadline: Duration) -> Status {
    let message = format!("the statement was not planned within {deadline:?}");
    refuse(Code::DeadlineExceeded, &message, None)
}

/// How long the client waits, if it says so: `grpc-timeout` is a number and a unit.
fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number).saturating_mul(3600),
        "M" => Duration::from_secs(number).saturating_mul(60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The header. Of several nobody knows which one counts.
fn authorization(metadata: &MetadataMap) -> Option<&str> {
    let mut headers = metadata.get_all(AUTHORIZATION).iter();
    match (headers.next(), headers.next()) {
        (Some(header), None) => header.to_str().ok(),
        _ => None,
    }
}

/// Name and password of `authorization: Basic ...`.
fn basic(metadata: &MetadataMap) -> Option<(String, String)> {
    let header = authorization(metadata)?;
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(rest.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<ActionResult>;
    type ListActionsStream = Answers<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let Some((name, password)) = basic(request.metadata()) else {
            return Err(refuse(
                Code::Unauthenticated,
                "there is no name and password",
                Some("send them as `authorization: Basic ...`"),
            ));
        };
        let token = self.sign_in(&name, &password)?;
        let answer = HandshakeResponse {
            protocol_version: 0,
            payload: token.clone().into(),
        };
        let mut response = Response::new(stream::iter([Ok(answer)]).boxed());
        let header = MetadataValue::try_from(format!("Bearer {token}"));
        let header = header.map_err(|_| wordless())?;
        response.metadata_mut().insert(AUTHORIZATION, header);
        Ok(response)
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(refuse(
            Code::Unimplemented,
            "there are no flights but those that are asked for",
            Some("ask for tables with `GetTables`, or send a statement"),
        ))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.info(request).await.map(Response::new)
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        // There is nothing to wait for: a query begins when its rows are read.
        let info = self.info(request).await?;
        Ok(Response::new(PollInfo::new().with_info(info)))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let FlightInfo { schema, .. } = self.info(request).await?;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let principal = self.principal(request.metadata())?;
        let deadline = deadline(request.metadata());
        let answer = match self.asked(&request.get_ref().ticket)? {
            Asked::About(command) => self.about(principal, command).await?,
            Asked::Statement(mut statement) => {
                if statement.number == 0 {
                    // A handle without a ticket: nobody else's wish may end it.
                    statement.number = self.0.seal.number();
                }
                let start = Start {
                    principal,
                    statement,
                    deadline,
                };
                rows::start(&self.0.shared, &self.0.wishes, start).await?
            }
        };
        Ok(Response::new(answer))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        // Whoever may not ask may not bind either.
        self.principal(request.metadata())?;
        let mut messages = request.into_inner();
        let first = messages.message().await?.unwrap_or_default();
        let descriptor = first.flight_descriptor.clone().unwrap_or_default();
        let command = Any::decode(descriptor.cmd).ok();
        let command = command.and_then(|command| Command::try_from(command).ok());
        match command {
            Some(Command::CommandPreparedStatementQuery(asked)) => {
                let messages = stream::iter([Ok(first)]).chain(messages);
                let bound = self
                    .bind(&asked.prepared_statement_handle, messages)
                    .await?;
                let result = PutResult {
                    app_metadata: bound.encode_to_vec().into(),
                };
                Ok(Response::new(stream::iter([Ok(result)]).boxed()))
            }
            Some(
                Command::CommandStatementUpdate(_)
                | Command::CommandStatementIngest(_)
                | Command::CommandPreparedStatementUpdate(_),
            ) => Err(read_only()),
            Some(Command::CommandStatementSubstraitPlan(_)) => Err(no_substrait()),
            _ => Err(unreadable("the command")),
        }
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(unknown("nothing is exchanged"))
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let result = self.act(request).await?;
        let result = result.map(|body| Ok(ActionResult::new(body)));
        Ok(Response::new(stream::iter(result).boxed()))
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = ACTIONS.map(|(name, description)| {
            Ok(ActionType {
                r#type: name.to_owned(),
                description: description.to_owned(),
            })
        });
        Ok(Response::new(stream::iter(actions).boxed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_clients_wait() {
        for (text, wanted) in [
            ("5S", Some(Duration::from_secs(5))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("2H", Some(Duration::from_hours(2))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("S", None),
            ("5", None),
            ("5x", None),
            ("-1S", None),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().expect("plain"));
            assert_eq!(deadline(&metadata), wanted, "{text}");
        }
    }

    #[test]
    fn names_and_passwords() {
        let mut metadata = MetadataMap::new();
        let header = format!("Basic {}", BASE64.encode("ada:a:b"));
        metadata.insert(AUTHORIZATION, header.parse().expect("plain"));
        let found = basic(&metadata);
        assert_eq!(found, Some(("ada".to_owned(), "a:b".to_owned())));
        metadata.insert(AUTHORIZATION, "basic YTpi".parse().expect("plain"));
        assert_eq!(basic(&metadata), Some(("a".to_owned(), "b".to_owned())));
        metadata.insert(AUTHORIZATION, "Basic YTo".parse().expect("plain"));
        assert_eq!(basic(&metadata), Some(("a".to_owned(), String::new())));
        for wrong in ["Basic", "Basic !", "Bearer YQ==", "Basic YQ=="] {
            metadata.insert(AUTHORIZATION, wrong.parse().expect("plain"));
            assert_eq!(basic(&metadata), None, "{wrong}");
        }
    }
}
