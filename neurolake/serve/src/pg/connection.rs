//! One client's messages.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::vec;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::channel::oneshot;
use futures::{Sink, SinkExt};
use neurolake_query::datafusion::common::ParamValues;
use neurolake_query::pg::{Parameter, Session, Variables};
use pgwire::api::auth::{
    ServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_partial_query_response, send_ready_for_query,
};
use pgwire::api::results::{
    DataRowEncoder, DescribePortalResponse, DescribeStatementResponse, FieldInfo, QueryResponse,
    Response, Tag,
};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionGuard, ConnectionHandle, ConnectionManager,
    DEFAULT_NAME, METADATA_DATABASE, METADATA_USER, PgWireConnectionState, PgWireServerHandlers,
    PidSecretKeyGenerator, RandomPidSecretKeyGenerator, Type,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::data::{DataRow, RowDescription};
use pgwire::messages::extendedquery::{Describe, Execute, TARGET_TYPE_BYTE_PORTAL};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::ParameterStatus;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};

use super::copy::Shape;
use super::error::{code, error, error_with_hint, fatal, of_engine};
use super::login::{Login, Scram};
use super::rows::{Rows, Start, wordless};
use super::statement::{Action, Prepared, parse};
use super::variables;
use super::wire::{Columns, parameter_type, parameters, text_column};
use crate::accounts::Principal;
use crate::doors::Shared;
use crate::encode::pieces;
use crate::running::Task;

/// One client. Cloning is cheap: pgwire wants each part of its protocol to be an object.
#[derive(Clone)]
pub(super) struct Connection(Arc<State>);

struct State {
    shared: Arc<Shared>,
    manager: Arc<ConnectionManager>,
    keys: Arc<RandomPidSecretKeyGenerator>,
    /// `None`: there were too many clients already.
    place: Option<OwnedSemaphorePermit>,
    variables: Arc<Variables>,
    login: Login,
    principal: OnceLock<Arc<Principal>>,
    session: OnceLock<Session>,
    cursors: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Cursor>>>>,
    /// Variables as they are to be after the transaction.
    transaction: Mutex<Transaction>,
}

#[derive(Default)]
struct Transaction {
    /// After `rollback`.
    before: BTreeMap<String, String>,
    /// Of `set local`, after `commit`.
    local: BTreeMap<String, String>,
}

struct Cursor {
    rows: Rows,
    /// Names of columns that its query gives none.
    names: Vec<Option<String>>,
    /// What was read and not fetched.
    rest: Option<RecordBatch>,
    hold: bool,
}

/// What a statement answers.
enum Reply {
    Rows {
        columns: Arc<Vec<FieldInfo>>,
        rows: Source,
        tag: &'static str,
    },
    Copy {
        rows: Rows,
        shape: Shape,
    },
    Done(&'static str),
}

/// Where rows come from.
enum Source {
    Running(Rows),
    Cursor {
        cursor: OwnedMutexGuard<Cursor>,
        columns: Columns,
        waiting: vec::IntoIter<DataRow>,
    },
    Known(vec::IntoIter<DataRow>),
}

impl Source {
    async fn next(&mut self) -> PgWireResult<Option<DataRow>> {
        match self {
            Self::Running(rows) => rows.next().await,
            Self::Known(rows) => Ok(rows.next()),
            Self::Cursor {
                cursor,
                columns,
                waiting,
            } => loop {
                if let Some(row) = waiting.next() {
                    return Ok(Some(row));
                }
                match cursor.take(usize::MAX).await? {
                    Some(batch) => *waiting = write(columns, &batch)?.into_iter(),
                    None => return Ok(None),
                }
            },
        }
    }

    fn stream(self) -> impl futures::Stream<Item = PgWireResult<DataRow>> + Send + 'static {
        futures::stream::unfold(Some(self), |source| async move {
            let mut source = source?;
            match source.next().await {
                Ok(Some(row)) => Some((Ok(row), Some(source))),
                Ok(None) => None,
                Err(failed) => Some((Err(failed), None)),
            }
        })
    }
}

impl Cursor {
    /// Some of the next rows, but not more than these.
    async fn take(&mut self, most: usize) -> PgWireResult<Option<RecordBatch>> {
        let batch = loop {
            let batch = match self.rest.take() {
                Some(batch) => Some(batch),
                None => self.rows.batch().await?,
            };
            match batch {
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => break batch,
                None => return Ok(None),
            }
        };
        if batch.num_rows() > most {
            self.rest = Some(batch.slice(most, batch.num_rows() - most));
            return Ok(Some(batch.slice(0, most)));
        }
        Ok(Some(batch))
    }
}

fn write(columns: &Columns, batch: &RecordBatch) -> PgWireResult<Vec<DataRow>> {
    let mut rows = Vec::with_capacity(batch.num_rows());
    for piece in pieces(batch) {
        rows.extend(
            columns
                .encode(&piece)
                .map_err(|failed| of_engine(&failed))?,
        );
    }
    Ok(rows)
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        manager: Arc<ConnectionManager>,
        keys: Arc<RandomPidSecretKeyGenerator>,
        place: Option<OwnedSemaphorePermit>,
        scram: Arc<Scram>,
    ) -> Self {
        Self(Arc::new(State {
            login: Login::new(scram),
            shared,
            manager,
            keys,
            place,
            principal: OnceLock::new(),
            variables: Arc::default(),
            session: OnceLock::new(),
            cursors: Mutex::default(),
            transaction: Mutex::default(),
        }))
    }

    fn session(&self) -> PgWireResult<&Session> {
        let session = self.0.session.get();
        session.ok_or_else(|| fatal(code::PROTOCOL, "the connection is not set up", None))
    }

    fn principal(&self) -> PgWireResult<&Arc<Principal>> {
        let principal = self.0.principal.get();
        principal.ok_or_else(|| fatal(code::PROTOCOL, "nobody has logged in", None))
    }

    /// Understands and plans a statement on the threads of queries.
    async fn prepare(
        &self,
        sql: &str,
        types: &[Option<Type>],
        statement: neurolake_query::datafusion::sql::sqlparser::ast::Statement,
    ) -> PgWireResult<Arc<Prepared>> {
        let session = self.session()?.clone();
        let (shared, principal) = (Arc::clone(&self.0.shared), Arc::clone(self.principal()?));
        let (sql, types) = (sql.to_owned(), types.to_vec());
        let task = Task::start(&self.0.shared, async move {
            let prepared =
                Prepared::planned(&shared, &principal, &session, (&sql, &types), statement);
            let prepared = Box::pin(prepared);
            prepared.await.map(Arc::new)
        });
        task.finish().await.unwrap_or_else(|| Err(wordless()))
    }

    /// Runs a statement.
    async fn run(
        &self,
        prepared: &Arc<Prepared>,
        values: Option<ParamValues>,
        format: Option<Format>,
        cancel: Option<oneshot::Receiver<()>>,
    ) -> PgWireResult<Rows> {
        let start = Start {
            principal: Arc::clone(self.principal()?),
            session: self.session()?.clone(),
            prepared: Arc::clone(prepared),
            parameters: values,
            format,
            cancel,
        };
        Rows::start(&self.0.shared, start).await
    }

    async fn execute<C>(
        &self,
        client: &mut C,
        prepared: &Arc<Prepared>,
        values: Option<ParamValues>,
        format: &Format,
    ) -> PgWireResult<Reply>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let status = client.transaction_status();
        check_transaction(status, &prepared.action)?;
        let variables = &self.0.variables;
        Ok(match &prepared.action {
            Action::Query(tag) => {
                let cancel = cancel(client).await;
                let rows = self
                    .run(prepared, values, Some(format.clone()), cancel)
                    .await?;
                Reply::Rows {
                    columns: Arc::clone(&rows.columns()?.fields),
                    rows: Source::Running(rows),
                    tag,
                }
            }
            Action::Copy(shape) => {
                let cancel = cancel(client).await;
                let rows = self
                    .run(prepared, values, Some(shape.values()), cancel)
                    .await?;
                Reply::Copy {
                    rows,
                    shape: shape.clone(),
                }
            }
            Action::Declare { name, hold } => {
                let cancel = cancel(client).await;
                let rows = self.run(prepared, values, None, cancel).await?;
                let cursor = Cursor {
                    rows,
                    names: prepared.names.clone(),
                    rest: None,
                    hold: *hold,
                };
                let cursor = Arc::new(tokio::sync::Mutex::new(cursor));
                self.cursors().insert(name.clone(), cursor);
                Reply::Done("DECLARE CURSOR")
            }
            Action::Fetch { name, most } => self.fetch(name, *most, format).await?,
            Action::Close(name) => self.close(name.as_deref())?,
            Action::Set {
                name,
                value,
                is_local,
            } => {
                let before = variables.get(name);
                variables::set(variables, name, value.clone())?;
                if let (true, Some(before)) = (*is_local, before) {
                    self.transaction(|now| now.local.entry(name.clone()).or_insert(before).clone());
                }
                tell(client, variables, name).await?;
                Reply::Done(if value.is_some() { "SET" } else { "RESET" })
            }
            Action::ResetAll => {
                variables::defaults(variables, &self.session()?.user);
                Reply::Done("RESET")
            }
            Action::Show(name) => self.show(name, format)?,
            Action::ShowAll => self.show_all(format)?,
            Action::Begin => {
                self.transaction(|now| {
                    *now = Transaction {
                        before: variables.all(),
                        local: BTreeMap::new(),
                    };
                });
                client.set_transaction_status(status.to_in_transaction_state());
                Reply::Done("BEGIN")
            }
            Action::Commit => {
                let has_failed = matches!(status, TransactionStatus::Error);
                self.end_transaction(!has_failed);
                client.set_transaction_status(TransactionStatus::Idle);
                Reply::Done(if has_failed { "ROLLBACK" } else { "COMMIT" })
            }
            Action::Rollback => {
                self.end_transaction(false);
                client.set_transaction_status(TransactionStatus::Idle);
                Reply::Done("ROLLBACK")
            }
            Action::Savepoint(tag) => {
                if matches!(status, TransactionStatus::Idle) {
                    return Err(error(
                        "25P01",
                        format!("{tag} can only be used in transaction blocks"),
                    ));
                }
                // Nothing is ever written that could be taken back.
                client.set_transaction_status(TransactionStatus::Transaction);
                Reply::Done(tag)
            }
            Action::Deallocate(Some(name)) => {
                client.portal_store().rm_statement(name);
                Reply::Done("DEALLOCATE")
            }
            // Drivers name statements by themselves and forget them one by one.
            Action::Deallocate(None) => Reply::Done("DEALLOCATE ALL"),
            Action::DiscardAll => {
                variables::defaults(variables, &self.session()?.user);
                self.cursors().clear();
                Reply::Done("DISCARD ALL")
            }
            Action::Nothing(tag) => Reply::Done(tag),
        })
    }

    fn transaction<T>(&self, change: impl FnOnce(&mut Transaction) -> T) -> T {
        let transaction = self.0.transaction.lock();
        change(&mut transaction.unwrap_or_else(PoisonError::into_inner))
    }

    fn cursors(&self) -> MutexGuard<'_, BTreeMap<String, Arc<tokio::sync::Mutex<Cursor>>>> {
        let cursors = self.0.cursors.lock();
        cursors.unwrap_or_else(PoisonError::into_inner)
    }

    /// The cursor of this name, for as long as it is held.
    async fn cursor(&self, name: &str) -> Option<OwnedMutexGuard<Cursor>> {
        let cursor = self.cursors().get(name).map(Arc::clone)?;
        Some(cursor.lock_owned().await)
    }

    fn end_transaction(&self, is_commit: bool) {
        let ended = self.transaction(std::mem::take);
        let variables = &self.0.variables;
        if is_commit {
            for (name, value) in ended.local {
                variables.set(&name, value);
            }
        } else if !ended.before.is_empty() {
            variables.replace(ended.before);
        }
        let stays = |cursor: &Arc<tokio::sync::Mutex<Cursor>>| {
            is_commit && cursor.try_lock().is_ok_and(|cursor| cursor.hold)
        };
        self.cursors().retain(|_, cursor| stays(cursor));
    }

    async fn fetch(&self, name: &str, most: Option<usize>, format: &Format) -> PgWireResult<Reply> {
        let Some(mut cursor) = self.cursor(name).await else {
            return Err(no_cursor(name));
        };
        let columns = Columns::new(&cursor.rows.schema, format)?.named(&cursor.names);
        let fields = Arc::clone(&columns.fields);
        let rows = match most {
            None => Source::Cursor {
                cursor,
                columns,
                waiting: Vec::new().into_iter(),
            },
            Some(most) => {
                let mut rows = Vec::new();
                while rows.len() < most
                    && let Some(batch) = cursor.take(most - rows.len()).await?
                {
                    rows.extend(write(&columns, &batch)?);
                }
                Source::Known(rows.into_iter())
            }
        };
        Ok(Reply::Rows {
            columns: fields,
            rows,
            tag: "FETCH",
        })
    }

    fn close(&self, name: Option<&str>) -> PgWireResult<Reply> {
        let mut cursors = self.cursors();
        match name {
            None => {
                cursors.clear();
                Ok(Reply::Done("CLOSE CURSOR ALL"))
            }
            Some(name) if cursors.remove(name).is_some() => Ok(Reply::Done("CLOSE CURSOR")),
            Some(name) => Err(no_cursor(name)),
        }
    }

    fn show(&self, name: &str, format: &Format) -> PgWireResult<Reply> {
        let value = self.0.variables.get(name).ok_or_else(|| {
            error_with_hint(
                code::UNKNOWN_VARIABLE,
                format!("unrecognized configuration parameter \"{name}\""),
                "SHOW ALL shows every one",
            )
        })?;
        known(vec![text_column(name, format.format_for(0))], [[value]])
    }

    fn show_all(&self, format: &Format) -> PgWireResult<Reply> {
        let fields = ["name", "setting", "description"];
        let fields = fields.iter().enumerate();
        let fields = fields.map(|(index, name)| text_column(name, format.format_for(index)));
        let all = self.0.variables.all().into_iter();
        let rows = all.map(|(name, value)| [name, value, String::new()]);
        known(fields.collect(), rows)
    }

    /// Columns of what a statement will answer.
    async fn describe(&self, prepared: &Prepared, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
        let text = |names: &[&str]| {
            let names = names.iter().enumerate();
            names
                .map(|(index, name)| text_column(name, format.format_for(index)))
                .collect()
        };
        match &prepared.action {
            Action::Show(name) => Ok(text(&[name])),
            Action::ShowAll => Ok(text(&["name", "setting", "description"])),
            Action::Fetch { name, .. } => {
                let cursor = self.cursor(name).await;
                let cursor = cursor.ok_or_else(|| no_cursor(name))?;
                let columns = Columns::new(&cursor.rows.schema, format)?;
                Ok(fields(&columns.named(&cursor.names)))
            }
            _ => Ok(prepared
                .columns(format)?
                .map(|columns| fields(&columns))
                .unwrap_or_default()),
        }
    }
}

fn fields(columns: &Columns) -> Vec<FieldInfo> {
    columns.fields.as_ref().clone()
}

fn no_cursor(name: &str) -> PgWireError {
    error(
        code::NO_SUCH_CURSOR,
        format!("cursor \"{name}\" does not exist"),
    )
}

fn check_transaction(status: TransactionStatus, action: &Action) -> PgWireResult<()> {
    let ends = matches!(
        action,
        Action::Commit | Action::Rollback | Action::Savepoint("ROLLBACK")
    );
    if matches!(status, TransactionStatus::Error) && !ends {
        return Err(error(
            code::ACTIVE_TRANSACTION_FAILED,
            "current transaction is aborted, commands ignored until end of transaction block",
        ));
    }
    Ok(())
}

/// Rows of text that are known already.
fn known<const N: usize>(
    fields: Vec<FieldInfo>,
    rows: impl IntoIterator<Item = [String; N]>,
) -> PgWireResult<Reply> {
    let fields = Arc::new(fields);
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    let mut written = Vec::new();
    for row in rows {
        for value in &row {
            encoder.encode_field(&Some(value.as_str()))?;
        }
        written.push(encoder.take_row());
    }
    Ok(Reply::Rows {
        columns: fields,
        rows: Source::Known(written.into_iter()),
        tag: "SHOW",
    })
}

/// Hears of a client's wish that this statement ends.
async fn cancel<C: ClientInfo>(client: &C) -> Option<oneshot::Receiver<()>> {
    let handle = client.session_extensions().get::<Arc<ConnectionHandle>>()?;
    Some(handle.start_query().await)
}

/// Tells a client of a variable that it keeps track of.
async fn tell<C>(client: &mut C, variables: &Variables, name: &str) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    if let (Some(spelling), Some(value)) = (variables::reported(name), variables.get(name)) {
        let status = ParameterStatus::new(spelling.to_owned(), value);
        client
            .feed(PgWireBackendMessage::ParameterStatus(status))
            .await?;
    }
    Ok(())
}

async fn done<C>(client: &mut C, tag: Tag) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    client
        .feed(PgWireBackendMessage::CommandComplete(tag.into()))
        .await?;
    Ok(())
}

/// Only what counts rows says how many.
fn tag(name: &str, rows: usize) -> Tag {
    let tag = Tag::new(name);
    match name {
        "SHOW" | "EXPLAIN" => tag,
        _ => tag.with_rows(rows),
    }
}

async fn send_copy<C>(client: &mut C, mut rows: Rows, shape: &Shape) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let fields = Arc::clone(&rows.columns()?.fields);
    let columns = i16::try_from(fields.len()).unwrap_or(i16::MAX);
    let formats = vec![i16::from(shape.number()); fields.len()];
    let head = CopyOutResponse::new(shape.number(), columns, formats);
    client
        .feed(PgWireBackendMessage::CopyOutResponse(head))
        .await?;
    if let Some(header) = shape.header(&fields) {
        client
            .feed(PgWireBackendMessage::CopyData(CopyData::new(header)))
            .await?;
    }
    let mut prefix = shape.prefix();
    let mut sent = 0;
    while let Some(row) = rows.next().await? {
        let data = CopyData::new(shape.row(&row, &fields, prefix));
        client.feed(PgWireBackendMessage::CopyData(data)).await?;
        prefix = b"";
        sent += 1;
    }
    if let Some(end) = shape.end(prefix) {
        client
            .feed(PgWireBackendMessage::CopyData(CopyData::new(end)))
            .await?;
    }
    client
        .feed(PgWireBackendMessage::CopyDone(CopyDone::new()))
        .await?;
    done(client, Tag::new("COPY").with_rows(sent)).await
}

#[async_trait]
impl SimpleQueryHandler for Connection {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let statements = parse(&query.query)?;
        if statements.is_empty() {
            client
                .feed(PgWireBackendMessage::EmptyQueryResponse(
                    EmptyQueryResponse::new(),
                ))
                .await?;
        }
        for (number, statement) in statements.into_iter().enumerate() {
            // Nobody asks for its columns before it runs.
            let prepared = Arc::new(Prepared::new(&query.query, number, statement)?);
            let reply = self
                .execute(client, &prepared, None, &Format::UnifiedText)
                .await?;
            send(client, reply).await?;
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    async fn do_query<C>(&self, _client: &mut C, _query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // `on_query` doesn't call it.
        Ok(Vec::new())
    }
}

/// A whole reply, with the description of its rows.
async fn send<C>(client: &mut C, reply: Reply) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    match reply {
        Reply::Done(name) => done(client, Tag::new(name)).await,
        Reply::Copy { rows, shape } => send_copy(client, rows, &shape).await,
        Reply::Rows {
            columns,
            mut rows,
            tag: name,
        } => {
            let description = RowDescription::new(columns.iter().map(Into::into).collect());
            client
                .feed(PgWireBackendMessage::RowDescription(description))
                .await?;
            let mut sent = 0;
            while let Some(row) = rows.next().await? {
                client.feed(PgWireBackendMessage::DataRow(row)).await?;
                sent += 1;
            }
            done(client, tag(name, sent)).await
        }
    }
}

#[async_trait]
impl QueryParser for Connection {
    type Statement = Arc<Prepared>;

    async fn parse_sql<C>(
        &self,
        _client: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Self::Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut statements = parse(sql)?.into_iter();
        let Some(statement) = statements.next() else {
            return Ok(None);
        };
        if statements.next().is_some() {
            return Err(error(
                code::SYNTAX,
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        self.prepare(sql, types, statement).await.map(Some)
    }

    fn get_parameter_types(&self, prepared: &Self::Statement) -> PgWireResult<Vec<Type>> {
        prepared.parameters.iter().map(parameter_type).collect()
    }

    fn get_result_schema(
        &self,
        prepared: &Self::Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        let columns = prepared.columns(format.unwrap_or(&Format::UnifiedText))?;
        Ok(columns.map(|columns| fields(&columns)).unwrap_or_default())
    }
}

#[async_trait]
impl ExtendedQueryHandler for Connection {
    type Statement = Arc<Prepared>;
    type QueryParser = Self;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        Arc::new(self.clone())
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => {
                let most = usize::try_from(message.max_rows).unwrap_or(0);
                self.execute_portal(client, &portal, most).await?;
            }
            Some(Entry::Empty) => {
                client
                    .feed(PgWireBackendMessage::EmptyQueryResponse(
                        EmptyQueryResponse::new(),
                    ))
                    .await?;
            }
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    /// A cursor is a portal to PostgreSQL.
    async fn on_describe<C>(&self, client: &mut C, message: Describe) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        if message.target_type == TARGET_TYPE_BYTE_PORTAL
            && client.portal_store().get_portal(name).is_none()
            && let Some(cursor) = self.cursor(name).await
        {
            let columns = Columns::new(&cursor.rows.schema, &Format::UnifiedText)?;
            let columns = columns.named(&cursor.names);
            let description = RowDescription::new(columns.fields.iter().map(Into::into).collect());
            client
                .send(PgWireBackendMessage::RowDescription(description))
                .await?;
            return Ok(());
        }
        self._on_describe(client, message).await
    }

    async fn do_describe_statement<C>(
        &self,
        _client: &mut C,
        target: &StoredStatement<Self::Statement>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &target.statement;
        let types: PgWireResult<Vec<Type>> = prepared
            .parameters
            .iter()
            .enumerate()
            .map(|(index, parameter)| given_type(&target.parameter_types, index, parameter))
            .collect();
        let fields = self.describe(prepared, &Format::UnifiedText).await?;
        Ok(DescribeStatementResponse::new(types?, fields))
    }

    async fn do_describe_portal<C>(
        &self,
        _client: &mut C,
        target: &Portal<Self::Statement>,
    ) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &target.statement.statement;
        let fields = self
            .describe(prepared, &target.result_column_format)
            .await?;
        Ok(DescribePortalResponse::new(fields))
    }

    async fn do_query<C>(
        &self,
        _client: &mut C,
        _portal: &Portal<Self::Statement>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // `on_execute` doesn't call it.
        Ok(Response::EmptyQuery)
    }
}

fn given_type(given: &[Option<Type>], index: usize, parameter: &Parameter) -> PgWireResult<Type> {
    match given.get(index) {
        Some(Some(given)) => Ok(given.clone()),
        _ => parameter_type(parameter),
    }
}

impl Connection {
    /// Runs a portal, or goes on where it was left.
    async fn execute_portal<C>(
        &self,
        client: &mut C,
        portal: &Portal<Arc<Prepared>>,
        most: usize,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let state = portal.state();
        let mut state = state.lock().await;
        if matches!(*state, PortalExecutionState::Initial) {
            let prepared = &portal.statement.statement;
            let values = parameters(portal, &prepared.parameters)?;
            let format = &portal.result_column_format;
            match self.execute(client, prepared, values, format).await? {
                Reply::Rows { columns, rows, tag } => {
                    let mut response = QueryResponse::new(columns, rows.stream());
                    response.set_command_tag(tag);
                    *state = PortalExecutionState::Suspended(response);
                }
                reply => {
                    *state = PortalExecutionState::Finished;
                    return send(client, reply).await;
                }
            }
        }
        match &mut *state {
            PortalExecutionState::Suspended(response) => {
                if !send_partial_query_response(client, response, most).await? {
                    *state = PortalExecutionState::Finished;
                }
                Ok(())
            }
            _ => done(client, Tag::new("SELECT").with_rows(0)).await,
        }
    }
}

/// What a client is told when it connects.
struct Reported<'a>(&'a Variables);

impl ServerParameterProvider for Reported<'_> {
    fn server_parameters<C: ClientInfo>(&self, _client: &C) -> Option<HashMap<String, String>> {
        let reported = variables::all_reported();
        let reported = reported.chain([("session_authorization", "session_authorization")]);
        Some(
            reported
                .filter_map(|(name, spelling)| Some((spelling.to_owned(), self.0.get(name)?)))
                .collect(),
        )
    }
}

#[async_trait]
impl StartupHandler for Connection {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let startup = match message {
            PgWireFrontendMessage::Startup(startup) => startup,
            PgWireFrontendMessage::PasswordMessageFamily(proof)
                if matches!(
                    client.state(),
                    PgWireConnectionState::AuthenticationInProgress
                ) =>
            {
                if self.0.login.step(client, proof).await? {
                    self.enter(client).await?;
                }
                return Ok(());
            }
            _ => return Err(fatal(code::PROTOCOL, "expected a startup message", None)),
        };
        if self.0.place.is_none() {
            return Err(fatal(
                code::TOO_MANY_CONNECTIONS,
                "sorry, too many clients already",
                None,
            ));
        }
        if self.0.shared.settings.pg_tls.is_some() && !client.is_secure() {
            return Err(fatal(
                code::NO_ENTRY,
                "the server only answers over TLS",
                Some("connect with sslmode=require, or better with verify-full".to_owned()),
            ));
        }
        protocol_negotiation(client, &startup).await?;
        save_startup_parameters_to_metadata(client, &startup);
        if self.0.shared.accounts.load().everybody().is_some() {
            return self.enter(client).await;
        }
        client.set_state(PgWireConnectionState::AuthenticationInProgress);
        self.0.login.ask(client).await
    }
}

impl Connection {
    /// Lets in whoever has proved to be who it says.
    async fn enter<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.begin(client.metadata()).await?;
        let (number, key) = self.0.keys.generate(client);
        client.set_pid_and_secret_key(number, key.clone());
        let (handle, guard) = self.0.manager.register(number, key);
        let extensions = client.session_extensions();
        extensions.insert::<Arc<ConnectionHandle>>(handle);
        extensions.insert::<ConnectionGuard>(guard);
        finish_authentication(client, &Reported(&self.0.variables)).await
    }

    /// Sets the session up as the client wants it.
    async fn begin(&self, wishes: &HashMap<String, String>) -> PgWireResult<()> {
        let Some(user) = wishes.get(METADATA_USER).cloned() else {
            return Err(fatal(code::NO_ENTRY, "no user name is given", None));
        };
        let accounts = self.0.shared.accounts.load();
        let principal = accounts.everybody().or_else(|| accounts.named(&user));
        let Some(principal) = principal else {
            return Err(fatal(code::NO_ENTRY, "there is no such account", None));
        };
        let principal = self.0.principal.get_or_init(|| Arc::clone(principal));
        let lake = &principal.lake;
        let known = &lake.catalog().name;
        let database = wishes.get(METADATA_DATABASE).unwrap_or(known);
        if database != known {
            return Err(fatal(
                code::NO_SUCH_DATABASE,
                format!("database \"{database}\" does not exist"),
                Some(format!("connect to the database \"{known}\"")),
            ));
        }
        let variables = &self.0.variables;
        variables::defaults(variables, &user);
        for (name, value) in wishes {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                METADATA_USER | METADATA_DATABASE | "replication" => (),
                "options" => {
                    for (name, value) in options(value) {
                        variables::set(variables, &name, Some(value)).map_err(fatally)?;
                    }
                }
                // Options of the protocol itself.
                name if name.starts_with("_pq_.") => (),
                name => variables::set(variables, name, Some(value.clone())).map_err(fatally)?,
            }
        }
        let (lake, variables) = (lake.clone(), Arc::clone(variables));
        let made = Task::start(&self.0.shared, async move {
            lake.postgres_session(&user, variables).await
        });
        let session = made.outcome().await.map_err(|failed| of_engine(&failed))?;
        let _ = self.0.session.set(session);
        Ok(())
    }
}

/// An error at the start ends the connection.
fn fatally(failed: PgWireError) -> PgWireError {
    match failed {
        PgWireError::UserError(info) => fatal(&info.code, info.message.clone(), info.hint.clone()),
        other => other,
    }
}

/// `-c name=value` and `--name=value`, as libpq sends them in `options`.
fn options(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c") {
            Some("") => words.next(),
            Some(rest) => Some(rest),
            None => word.strip_prefix("--"),
        };
        if let Some((name, value)) = setting.and_then(|setting| setting.split_once('=')) {
            let name = name.replace('-', "_").to_ascii_lowercase();
            found.push((name, value.replace('\\', "")));
        }
    }
    found
}

impl PgWireServerHandlers for Connection {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::new(self.clone())
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::new(self.clone())
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::new(self.clone())
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::new(DefaultCancelHandler::new(Arc::clone(&self.0.manager)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_libpq_writes_them() {
        let found = options("-c search_path=neural -cstatement_timeout=5s --extra-float-digits=3");
        let expected = [
            ("search_path", "neural"),
            ("statement_timeout", "5s"),
            ("extra_float_digits", "3"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, expected);
    }
}
