//! Fields to bytes: each question is a statement of its own, several run at once.
//!
//! A field that fails is null and has an error; the others are answered. Rows never become values of
//! GraphQL: batches get the form of the document and are written as JSON at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::error::ArrowError;
use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Pos, Value};
use futures::StreamExt;
use neurolake_query::{Error, Kind, Request, Result};
use serde::Serialize;

use super::columns::Table;
use super::form::{Part, formed, formed_schema};
use super::mistake::Mistake;
use super::plan::{Member, Members, Planned, Question};
use crate::accounts::Client;
use crate::encode::{Encoder, Format, pieces};
use crate::identity::RequestId;
use crate::refusal::{Details, Refusal};
use crate::running::Rows;
use crate::turn::{Noted, Turn};

/// Statements of one document.
const MOST_STATEMENTS: usize = 50;

/// Those of them that run at the same time.
const AT_ONCE: usize = 4;

/// Bytes of an answer. It is sent when all of it is known, and takes memory until then.
const ANSWER_BYTES: usize = 32 << 20;

/// Why a document or one of its fields has no answer.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) refusal: Refusal,
    places: Vec<Pos>,
    path: Vec<String>,
}

impl From<Mistake> for Fault {
    fn from(mistake: Mistake) -> Self {
        Self {
            refusal: Refusal::from(&mistake.error),
            places: mistake.places,
            path: Vec::new(),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            places: Vec::new(),
            path: Vec::new(),
        }
    }
}

/// An answer that is known but for the rows in it.
#[derive(Default)]
pub(crate) struct Outline {
    fields: Vec<(String, Slot)>,
    statements: Vec<Statement>,
}

/// An answer of which perhaps some fields are missing.
pub(crate) struct Filled {
    /// The bytes of `data`.
    pub(crate) data: Vec<u8>,
    /// What could not be answered.
    pub(crate) faults: Vec<Fault>,
    /// What it is made from.
    pub(crate) noted: Noted,
}

/// Where a part of the answer comes from.
enum Slot {
    Known(Vec<u8>),
    /// The statement of this number.
    Statement(usize),
    Object(Vec<(String, Slot)>),
}

struct Statement {
    request: Request,
    parts: Vec<Part>,
    is_object: bool,
    place: Pos,
    path: Vec<String>,
}

impl Outline {
    /// Adds a field about the schema, whose value comes later.
    pub(crate) fn add_known(&mut self, key: String) {
        self.fields.push((key, Slot::Known(b"null".to_vec())));
    }

    /// Fills in what is asked about the schema.
    pub(crate) fn know(&mut self, values: &IndexMap<Name, Value>) {
        for (key, slot) in &mut self.fields {
            if let (Slot::Known(text), Some(value)) = (slot, values.get(key.as_str())) {
                *text = serde_json::to_vec(value).expect("a value of GraphQL is one of JSON");
            }
        }
    }

    /// Adds a field about a table. Statements are written here, so that a value which doesn't fit its
    /// column is a mistake of the document.
    pub(crate) fn add(&mut self, planned: Planned, table: &Table) -> Result<(), Mistake> {
        let Planned {
            key,
            place,
            members,
        } = planned;
        let slot = match members {
            Members::Rows(question) => self.statement(question, table, place, vec![key.clone()])?,
            Members::Object(members) => {
                let mut slots = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let slot = match member {
                        Member::TypeName(name) => Slot::Known(Value::from(name).to_string().into()),
                        Member::Answer(question) => {
                            let path = vec![key.clone(), name.clone()];
                            self.statement(question, table, place, path)?
                        }
                    };
                    slots.push((name, slot));
                }
                Slot::Object(slots)
            }
        };
        self.fields.push((key, slot));
        Ok(())
    }

    fn statement(
        &mut self,
        question: Box<Question>,
        table: &Table,
        place: Pos,
        path: Vec<String>,
    ) -> Result<Slot, Mistake> {
        if self.statements.len() == MOST_STATEMENTS {
            let message = format!("the document needs more than {MOST_STATEMENTS} statements");
            let error = Error::new(Kind::TooMuch, message).with_hint("send several documents");
            return Err(Mistake::of(error, place));
        }
        let request = question.request(&table.schema);
        self.statements.push(Statement {
            request: request.map_err(|error| Mistake::of(error, place))?,
            is_object: question.aggregates.is_some(),
            parts: question.parts,
            place,
            path,
        });
        Ok(Slot::Statement(self.statements.len() - 1))
    }

    /// Runs the statements.
    pub(crate) async fn fill(self, client: &Client, id: &RequestId) -> Filled {
        let written = Arc::new(AtomicUsize::new(0));
        let answers = futures::stream::iter(self.statements).map(|statement| {
            let written = Arc::clone(&written);
            async move {
                let Statement { place, path, .. } = &statement;
                let (places, path) = (vec![*place], path.clone());
                let answer = ask(client, id, statement, written).await;
                answer.map_err(|refusal| Fault {
                    refusal,
                    places,
                    path,
                })
            }
        });
        let answers: Vec<Result<_, Fault>> = answers.buffered(AT_ONCE).collect().await;
        let mut noted = Noted::default();
        // The schema has no versions.
        if self
            .fields
            .iter()
            .any(|(_, slot)| matches!(slot, Slot::Known(_)))
        {
            noted.changes();
        }
        let mut parts = Vec::with_capacity(answers.len());
        for answer in answers {
            parts.push(answer.map(|(part, of_part)| {
                noted.merge(of_part);
                part
            }));
        }
        let mut data = Vec::new();
        write_object(&self.fields, &parts, &mut data);
        Filled {
            data,
            faults: parts.into_iter().filter_map(Result::err).collect(),
            noted,
        }
    }
}

async fn ask(
    client: &Client,
    id: &RequestId,
    statement: Statement,
    written: Arc<AtomicUsize>,
) -> Result<(Vec<u8>, Noted), Refusal> {
    let turn = Turn::begin(client, id).await?;
    let Statement {
        request,
        parts,
        is_object,
        ..
    } = statement;
    let finish = move |rows: Rows| write_rows(&rows, &parts, is_object, &written);
    let part = turn.collect(request, Format::Json, finish).await?;
    Ok((part, turn.into_noted()))
}

/// Rows as a list, or the only one as an object.
fn write_rows(
    rows: &Rows,
    parts: &[Part],
    is_object: bool,
    written: &AtomicUsize,
) -> Result<Vec<u8>> {
    let format = if is_object {
        Format::NdJson
    } else {
        Format::Json
    };
    let schema = formed_schema(parts, &rows.schema).map_err(unformed)?;
    let mut encoder = Encoder::new(format, &schema)?;
    let mut text = Vec::new();
    for batch in &rows.batches {
        let batch = formed(parts, batch).map_err(unformed)?;
        for piece in pieces(&batch) {
            let bytes = encoder.encode(&piece)?;
            let before = written.fetch_add(bytes.len(), Ordering::Relaxed);
            if before + bytes.len() > ANSWER_BYTES {
                return Err(too_long());
            }
            text.extend_from_slice(&bytes);
        }
    }
    text.extend_from_slice(&encoder.finish()?);
    Ok(text)
}

fn unformed(error: ArrowError) -> Error {
    Error::new(
        Kind::Internal,
        "the rows don't have the form of the document",
    )
    .with_source(error)
}

fn too_long() -> Error {
    Error::new(
        Kind::TooMuch,
        format!("the answer is longer than {ANSWER_BYTES} bytes"),
    )
    .with_hint("ask for fewer rows or columns, or ask `/api/sql`, which sends rows as they come")
}

fn write_object(fields: &[(String, Slot)], answers: &[Result<Vec<u8>, Fault>], text: &mut Vec<u8>) {
    text.push(b'{');
    for (index, (key, slot)) in fields.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        // Names of GraphQL hold nothing that JSON would have to escape.
        text.push(b'"');
        text.extend_from_slice(key.as_bytes());
        text.extend_from_slice(b"\":");
        match slot {
            Slot::Known(known) => text.extend_from_slice(known),
            Slot::Object(fields) => write_object(fields, answers, text),
            Slot::Statement(number) => match &answers[*number] {
                Ok(answer) => text.extend_from_slice(answer.trim_ascii_end()),
                Err(_) => text.extend_from_slice(b"null"),
            },
        }
    }
    text.push(b'}');
}

#[derive(Serialize)]
struct Written<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    path: &'a [String],
    extensions: Extensions<'a>,
}

#[derive(Serialize)]
struct Location {
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Extensions<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    request_id: &'a str,
}

/// What stands behind `errors`.
pub(crate) fn write_errors(faults: &[Fault], id: &RequestId) -> Vec<u8> {
    let location = |place: &Pos| Location {
        line: place.line,
        column: place.column,
    };
    let written = faults.iter().map(|fault| {
        let Details {
            code,
            message,
            hint,
            request_id,
            ..
        } = fault.refusal.details(id);
        Written {
            message,
            locations: fault.places.iter().map(location).collect(),
            path: &fault.path,
            extensions: Extensions {
                code,
                hint,
                request_id,
            },
        }
    });
    let written: Vec<Written<'_>> = written.collect();
    serde_json::to_vec(&written).expect("texts and numbers are JSON")
}
