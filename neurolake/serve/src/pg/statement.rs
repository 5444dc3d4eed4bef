//! What a statement asks for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::{Fields, Schema, SchemaRef};
use neurolake_query::datafusion::sql::sqlparser::ast::{
    self, CloseCursor, CopySource, CopyTarget, DeclareType, DiscardObject, Expr, FetchDirection,
    Reset, Set, TransactionIsolationLevel, TransactionMode, Value,
};
use neurolake_query::pg::{self, Parameter, Planned, Session};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::FieldInfo;
use pgwire::error::{PgWireError, PgWireResult};
use tokio::time::Instant;

use super::copy::Shape;
use super::error::{code, error, error_with_hint, of_engine_in};
use super::wire::{Columns, types_of};
use crate::accounts::Principal;
use crate::doors::Shared;
use crate::identity::RequestId;
use crate::journal::Log;

/// How long a plan that was made to describe a statement may be used to run it: it sees tables as
/// they were.
const FRESH: Duration = Duration::from_millis(500);

/// A statement that was parsed and, if it reads tables, planned once.
pub(super) struct Prepared {
    /// All that the client sent.
    pub(super) sql: String,
    /// It, and which of its statements this is.
    pub(super) text: String,
    pub(super) statement: ast::Statement,
    pub(super) action: Action,
    /// Parameters `$1`, `$2`...
    pub(super) parameters: Vec<Parameter>,
    pub(super) schema: Option<SchemaRef>,
    /// Types of its columns as the client was told.
    told: Option<Vec<Type>>,
    /// Names of columns that the statement gives none.
    pub(super) names: Vec<Option<String>>,
    plan: Mutex<Option<(Instant, Planned)>>,
}

/// What is done for a statement.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Rows of a query. The tag says what it was.
    Query(&'static str),
    Copy(Shape),
    Declare {
        name: String,
        hold: bool,
    },
    Fetch {
        name: String,
        most: Option<usize>,
    },
    /// `None`: all.
    Close(Option<String>),
    Set {
        name: String,
        value: Option<String>,
        is_local: bool,
    },
    ResetAll,
    Show(String),
    ShowAll,
    Begin,
    Commit,
    Rollback,
    Savepoint(&'static str),
    /// `None`: all.
    Deallocate(Option<String>),
    DiscardAll,
    /// Nothing, which is said to be done.
    Nothing(&'static str),
}

impl Prepared {
    /// Understands a statement.
    pub(super) fn new(sql: &str, number: usize, statement: ast::Statement) -> PgWireResult<Self> {
        let (action, statement) = understand(statement)?;
        Ok(Self {
            sql: sql.to_owned(),
            text: format!("{number} {sql}"),
            names: pg::column_names(&statement),
            statement,
            action,
            parameters: Vec::new(),
            schema: None,
            told: None,
            plan: Mutex::default(),
        })
    }

    /// Understands a statement, and plans it if it reads.
    pub(super) async fn planned(
        shared: &Arc<Shared>,
        principal: &Principal,
        session: &Session,
        (sql, types): (&str, &[Option<Type>]),
        statement: ast::Statement,
    ) -> PgWireResult<Self> {
        let mut prepared = Self::new(sql, 0, statement)?;
        let reads = matches!(
            prepared.action,
            Action::Query(_) | Action::Copy(_) | Action::Declare { .. }
        );
        if reads {
            let engine = |failed| of_engine_in(&failed, sql);
            let planned = session
                .plan(&prepared.statement, &prepared.text, None)
                .await;
            if let Err(failed) = &planned {
                // A statement that is fine has its line when it runs.
                let id = RequestId::fresh();
                let log = Log::new(shared, principal, "postgres", &id, "postgres", sql);
                log.end(&planned, false);
                shared.health.saw(&shared.lake, sql, Err(failed)).await;
            }
            let planned = planned.map_err(engine)?;
            prepared.parameters = planned.parameters().map_err(engine)?;
            let types = types_of(types, &prepared.parameters)?;
            let mut schema = Schema::clone(&planned.schema_with(&types));
            if !types.is_empty() {
                // What depends on values may be null.
                schema.fields = nullable(&schema.fields);
            }
            let columns = Columns::new(&schema, &Format::UnifiedText)?;
            let told = columns.fields.iter().map(|field| field.datatype().clone());
            prepared.told = Some(told.collect());
            prepared.schema = Some(Arc::new(schema));
            prepared.plan = Mutex::new(Some((Instant::now(), planned)));
        }
        Ok(prepared)
    }

    /// The plan that was made to describe the statement, if it is new enough; once.
    pub(super) fn fresh_plan(&self) -> Option<Planned> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, planned) = plan.take()?;
        (made.elapsed() < FRESH).then_some(planned)
    }

    /// Whether these are the columns that the client was told of, if it was.
    pub(super) fn is_as_told(&self, columns: &Columns) -> bool {
        self.told.as_ref().is_none_or(|told| {
            let found = columns.fields.iter().map(FieldInfo::datatype);
            found.eq(told)
        })
    }

    /// Columns of rows that it answers with; `None`: none.
    pub(super) fn columns(&self, format: &Format) -> PgWireResult<Option<Columns>> {
        match (&self.action, &self.schema) {
            (Action::Query(_), Some(schema)) => {
                Columns::new(schema, format).map(|columns| Some(columns.named(&self.names)))
            }
            _ => Ok(None),
        }
    }
}

fn nullable(fields: &Fields) -> Fields {
    let fields = fields.iter();
    fields
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect()
}

/// The statements of a text.
pub(super) fn parse(sql: &str) -> PgWireResult<Vec<ast::Statement>> {
    pg::parse(sql).map_err(|failed| of_engine_in(&failed, sql))
}

/// What is to be done, and the query that it reads from if there is one.
fn understand(statement: ast::Statement) -> PgWireResult<(Action, ast::Statement)> {
    use ast::Statement as S;
    let action = match &statement {
        S::Query(_) | S::ShowTables { .. } | S::ShowColumns { .. } | S::ShowFunctions { .. } => {
            Action::Query("SELECT")
        }
        S::Explain { .. } | S::ExplainTable { .. } => Action::Query("EXPLAIN"),
        S::Copy { .. } => return copy(statement),
        S::Declare { .. } => return declare(statement),
        S::Fetch {
            name, direction, ..
        } => fetch(&name.value, direction)?,
        S::Close { cursor } => Action::Close(match cursor {
            CloseCursor::All => None,
            CloseCursor::Specific { name } => Some(name.value.clone()),
        }),
        S::Set(set) => understand_set(set)?,
        S::Reset(reset) => match &reset.reset {
            Reset::ALL => Action::ResetAll,
            Reset::ConfigurationParameter(name) => Action::Set {
                name: variable(&name.to_string()),
                value: None,
                is_local: false,
            },
        },
        S::ShowVariable { variable } => show(variable),
        S::StartTransaction { modes, .. } => {
            modes.iter().try_for_each(check_mode)?;
            Action::Begin
        }
        S::Commit { .. } => Action::Commit,
        S::Rollback {
            savepoint: None, ..
        } => Action::Rollback,
        S::Rollback { .. } => Action::Savepoint("ROLLBACK"),
        S::Savepoint { .. } => Action::Savepoint("SAVEPOINT"),
        S::ReleaseSavepoint { .. } => Action::Savepoint("RELEASE"),
        S::Deallocate { name, .. } => {
            let is_all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            Action::Deallocate((!is_all).then(|| name.value.clone()))
        }
        S::Discard {
            object_type: DiscardObject::ALL,
        } => Action::DiscardAll,
        S::Discard { .. } => Action::Nothing("DISCARD"),
        // Nobody here ever notifies.
        S::LISTEN { .. } => Action::Nothing("LISTEN"),
        S::UNLISTEN { .. } => Action::Nothing("UNLISTEN"),
        // Planning says why it is refused.
        _ => Action::Query("SELECT"),
    };
    Ok((action, statement))
}

fn copy(statement: ast::Statement) -> PgWireResult<(Action, ast::Statement)> {
    let ast::Statement::Copy {
        source,
        to: true,
        target: CopyTarget::Stdout,
        options,
        legacy_options,
        ..
    } = statement
    else {
        // Planning refuses it: it writes.
        return Ok((Action::Query("COPY"), statement));
    };
    let shape = Shape::new(&options, &legacy_options)?;
    let statement = match source {
        CopySource::Query(query) => ast::Statement::Query(query),
        CopySource::Table {
            table_name,
            columns,
        } => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let columns = if columns.is_empty() {
                "*".to_owned()
            } else {
                columns.join(", ")
            };
            let query = format!("select {columns} from {table_name}");
            let parsed = parse(&query)?.into_iter().next();
            parsed.ok_or_else(|| error(code::SYNTAX, "there is nothing to copy"))?
        }
    };
    Ok((Action::Copy(shape), statement))
}

fn declare(statement: ast::Statement) -> PgWireResult<(Action, ast::Statement)> {
    let ast::Statement::Declare { stmts } = statement else {
        return Ok((Action::Query("SELECT"), statement));
    };
    let mut declared = stmts.into_iter();
    let cursor = declared.next();
    let cursor = cursor.filter(|cursor| cursor.declare_type == Some(DeclareType::Cursor));
    match cursor.map(|cursor| (cursor.names, cursor.for_query, cursor.scroll, cursor.hold)) {
        Some((names, Some(query), scroll, hold)) if names.len() == 1 => {
            if scroll == Some(true) {
                return Err(error_with_hint(
                    code::FEATURE,
                    "a cursor here only moves forward",
                    "leave out SCROLL",
                ));
            }
            let action = Action::Declare {
                name: names[0].value.clone(),
                hold: hold == Some(true),
            };
            Ok((action, ast::Statement::Query(query)))
        }
        _ => Err(error(code::SYNTAX, "DECLARE makes a cursor for a query")),
    }
}

fn fetch(name: &str, direction: &FetchDirection) -> PgWireResult<Action> {
    let most = match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Some(1),
        FetchDirection::All | FetchDirection::ForwardAll => None,
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => {
            let number = limit.to_string();
            Some(number.parse().map_err(|_| backward())?)
        }
        _ => return Err(backward()),
    };
    Ok(Action::Fetch {
        name: name.to_owned(),
        most,
    })
}

fn backward() -> PgWireError {
    error(code::FEATURE, "a cursor here only moves forward")
}

fn understand_set(set: &Set) -> PgWireResult<Action> {
    let one = |name: &str, value: Option<String>, is_local| Action::Set {
        name: variable(name),
        value,
        is_local,
    };
    Ok(match set {
        Set::SingleAssignment {
            scope,
            variable,
            values,
            ..
        } => {
            let is_local = matches!(scope, Some(ast::ContextModifier::Local));
            let is_default = matches!(&values[..], [one] if is_word(one, "default"));
            let texts: Vec<String> = values.iter().map(text).collect();
            let value = (!is_default).then(|| texts.join(", "));
            one(&variable.to_string(), value, is_local)
        }
        Set::SetTimeZone { local, value } => {
            let is_default = is_word(value, "default") || is_word(value, "local");
            one("timezone", (!is_default).then(|| text(value)), *local)
        }
        Set::SetNames { charset_name, .. } => {
            one("client_encoding", Some(charset_name.value.clone()), false)
        }
        Set::SetTransaction { modes, .. } => {
            modes.iter().try_for_each(check_mode)?;
            Action::Nothing("SET")
        }
        Set::SetRole {
            role_name: None, ..
        } => Action::Nothing("SET"),
        other => {
            return Err(error(
                code::FEATURE,
                format!("`{other}` is not possible here"),
            ));
        }
    })
}

/// `SET TRANSACTION READ WRITE` would be a lie.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "given to `try_for_each`")]
fn check_mode(mode: &TransactionMode) -> PgWireResult<()> {
    match mode {
        TransactionMode::AccessMode(ast::TransactionAccessMode::ReadWrite) => Err(error_with_hint(
            code::FEATURE,
            "a transaction here is always read-only",
            "leave out READ WRITE",
        )),
        TransactionMode::AccessMode(_)
        | TransactionMode::IsolationLevel(
            TransactionIsolationLevel::ReadUncommitted
            | TransactionIsolationLevel::ReadCommitted
            | TransactionIsolationLevel::RepeatableRead
            | TransactionIsolationLevel::Serializable
            | TransactionIsolationLevel::Snapshot,
        ) => Ok(()),
    }
}

fn is_word(expression: &Expr, word: &str) -> bool {
    matches!(expression, Expr::Identifier(name)
        if name.quote_style.is_none() && name.value.eq_ignore_ascii_case(word))
}

/// The value of a setting.
fn text(expression: &Expr) -> String {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Null => String::new(),
            value => value
                .clone()
                .into_string()
                .unwrap_or_else(|| value.to_string()),
        },
        Expr::Identifier(name) => name.value.clone(),
        other => other.to_string(),
    }
}

/// Settings have several spellings.
fn variable(name: &str) -> String {
    name.replace('"', "").to_ascii_lowercase()
}

fn show(words: &[ast::Ident]) -> Action {
    let words: Vec<String> = words
        .iter()
        .map(|word| word.value.to_ascii_lowercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["all"] => Action::ShowAll,
        ["transaction", "isolation", "level"] => Action::Show("transaction_isolation".to_owned()),
        ["time", "zone"] => Action::Show("timezone".to_owned()),
        ["session", "authorization"] => Action::Show("session_authorization".to_owned()),
        _ => Action::Show(words.join(".")),
    }
}
