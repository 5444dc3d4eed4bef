//! Google Sheets: read as a whole, converted to the declared types, kept for the declared time.
//!
//! An answer that is older than its `refresh` is asked for again. If Google can't be reached then,
//! or refuses for the moment, the last answer serves until it is ten times as old; after that the
//! query fails. What Google says for good (no permission, no such tab) is never papered over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use neurolake_delta::At;
use neurolake_model as model;
use tokio::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::lake::Scope;
use crate::sources::{Declared, Source};
use crate::stores::{DEFAULT, SheetsSettings, Store};

mod cells;
mod client;
mod token;

use cells::{Cell, Origin};
use client::{Client, Failure, Place};

/// How many times its refresh time an answer may be old while Google can't be reached.
const STALE: u32 = 10;

/// How long to leave Google alone after it failed, while an older answer serves.
const REST: Duration = Duration::from_secs(30);

pub(crate) struct Sheet {
    declared: Declared,
}

impl Sheet {
    pub(crate) fn new(declared: Declared) -> Self {
        Self { declared }
    }

    fn settings<'a>(scope: &'a Scope, name: &str, store: &str) -> Result<&'a SheetsSettings> {
        let broken = |what: &str| {
            Error::new(
                Kind::Broken,
                format!("the store `{store}` of {name} {what}"),
            )
        };
        match scope.shared.stores.get(store) {
            Some(Store::Sheets(settings)) => Ok(settings),
            // Copies are read before it comes to this.
            Some(_) => Err(broken("is not Google Sheets")
                .with_hint(format!("give `[stores.{store}]` the key `sheets`"))),
            None => Err(broken("is not configured").with_hint(format!(
                "add `[stores.{store}]` with `sheets = {{}}` to neurolake.toml"
            ))),
        }
    }
}

#[async_trait]
impl Source for Sheet {
    async fn provider(&self, scope: &Scope, at: Option<&At>) -> Result<Arc<dyn TableProvider>> {
        let table = &self.declared.table;
        let name = format!("{}.{}", self.declared.database, table.name);
        if at.is_some() {
            return Err(Error::new(
                Kind::BadRequest,
                format!("{name} is a Google Sheet, whose earlier versions can't be read"),
            )
            .with_hint("leave out what stands behind the `@`"));
        }
        let model::Source::Sheet {
            spreadsheet,
            tab,
            range,
            header_row,
            refresh,
        } = &table.source
        else {
            return Err(Error::new(Kind::Internal, format!("{name} is no sheet")));
        };
        let store = table.store.as_deref().unwrap_or(DEFAULT);
        let settings = Self::settings(scope, &name, store)?;
        let area = Area::new(range.as_deref(), *header_row).map_err(|why| {
            Error::new(Kind::Broken, format!("{name}: {why}"))
                .with_hint("correct `range` and `header_row` in the declaration")
        })?;
        let refresh = match refresh {
            Some(text) => duration(text).ok_or_else(|| {
                Error::new(Kind::Broken, format!("{name}: `{text}` is no refresh time"))
                    .with_hint("write it like `10m`")
            })?,
            None => settings.refresh,
        };
        let place = Place {
            spreadsheet: spreadsheet.clone(),
            tab: tab.clone(),
            range: area.range,
            skip: area.skip,
        };
        let answers = scope.shared.sheets.get(store, settings)?;
        let cells = answers.cells(&name, place, refresh).await?;
        let origin = Origin {
            table: name,
            tab: tab.clone().unwrap_or_else(|| "(first)".to_owned()),
            column: area.column,
            header_row: *header_row as usize,
        };
        let batch = cells::batch(&origin, &table.columns, &cells)?;
        let provider = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        Ok(Arc::new(provider))
    }
}

/// Clients and their answers by the name of the store.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<String, Arc<Answers>>>);

impl Clients {
    fn get(&self, store: &str, settings: &SheetsSettings) -> Result<Arc<Answers>> {
        // Nothing can panic while the map is held.
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answers) = clients.get(store) {
            return Ok(Arc::clone(answers));
        }
        let answers = Arc::new(Answers {
            client: Client::new(store, settings)?,
            kept: Mutex::default(),
        });
        clients.insert(store.to_owned(), Arc::clone(&answers));
        Ok(answers)
    }
}

struct Answers {
    client: Client,
    kept: Mutex<HashMap<Place, Slot>>,
}

/// Locked while asking, so that many queries ask once.
type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

type Cells = Arc<Vec<Vec<Cell>>>;

struct Kept {
    cells: Cells,
    at: Instant,
    /// Not to be asked again before, after a failure.
    rests_until: Instant,
}

impl Answers {
    async fn cells(&self, table: &str, place: Place, refresh: Duration) -> Result<Cells> {
        let slot = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(kept.entry(place.clone()).or_default())
        };
        let mut slot = slot.lock().await;
        let now = Instant::now();
        if let Some(kept) = slot.as_ref() {
            let age = now.duration_since(kept.at);
            if age < refresh || (now < kept.rests_until && age < refresh * STALE) {
                return Ok(Arc::clone(&kept.cells));
            }
        }
        match self.client.cells(&place).await {
            Ok(cells) => {
                let cells = Arc::new(cells);
                let now = Instant::now();
                *slot = Some(Kept {
                    cells: Arc::clone(&cells),
                    at: now,
                    rests_until: now,
                });
                Ok(cells)
            }
            Err(failure) => last_good(table, slot.as_mut(), failure, refresh),
        }
    }
}

fn last_good(
    table: &str,
    kept: Option<&mut Kept>,
    failure: Failure,
    refresh: Duration,
) -> Result<Cells> {
    let now = Instant::now();
    match kept {
        Some(kept) if failure.is_transient() && now - kept.at < refresh * STALE => {
            let error = failure.error(table);
            tracing::warn!(table, %error, "the last answer of Google Sheets is served");
            kept.rests_until = now + REST;
            Ok(Arc::clone(&kept.cells))
        }
        _ => Err(failure.error(table)),
    }
}

/// The part of a tab from the header row on.
#[derive(Debug, PartialEq, Eq)]
struct Area {
    /// To be asked for. `None`: the whole tab.
    range: Option<String>,
    /// Rows above the header in what is asked for.
    skip: usize,
    /// The first column, from 0.
    column: usize,
}

impl Area {
    fn new(range: Option<&str>, header_row: u32) -> Result<Self, String> {
        if header_row == 0 {
            return Err("rows are counted from 1".to_owned());
        }
        let Some(range) = range else {
            return Ok(Self {
                range: None,
                skip: header_row as usize - 1,
                column: 0,
            });
        };
        let wrong = || format!("`{range}` is no range such as `A3:I` or `B2:F100`");
        let (first, last) = range.split_once(':').ok_or_else(wrong)?;
        let (first_column, first_row) = corner(first).ok_or_else(wrong)?;
        let (last_column, last_row) = corner(last).ok_or_else(wrong)?;
        let first_row = first_row.unwrap_or(1);
        if header_row < first_row || last_row.is_some_and(|last| last < header_row) {
            return Err(format!(
                "the header row {header_row} lies outside of the range `{range}`"
            ));
        }
        let last_row = last_row.map(|row| row.to_string()).unwrap_or_default();
        let column = first_column.bytes().fold(0, |column, letter| {
            column * 26 + usize::from(letter - b'A') + 1
        });
        Ok(Self {
            range: Some(format!(
                "{first_column}{header_row}:{last_column}{last_row}"
            )),
            skip: 0,
            column: column - 1,
        })
    }
}

/// `B2` as `B` and 2.
fn corner(text: &str) -> Option<(String, Option<u32>)> {
    let text = text.trim().replace('$', "").to_ascii_uppercase();
    let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
    let (column, row) = text.split_at(letters);
    if column.is_empty() || column.len() > 3 {
        return None;
    }
    let row = match row {
        "" => None,
        row => Some(row.parse().ok().filter(|row| *row > 0)?),
    };
    Some((column.to_owned(), row))
}

/// `90s`, `10m`, `1h`, `7d`
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return None,
    };
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_from_its_header_row_on() {
        let area =
            |range, row| Area::new(range, row).map(|area| (area.range, area.skip, area.column));
        assert_eq!(area(None, 3), Ok((None, 2, 0)));
        assert_eq!(area(Some("A3:I"), 3), Ok((Some("A3:I".into()), 0, 0)));
        assert_eq!(
            area(Some("AB:AD99"), 2),
            Ok((Some("AB2:AD99".into()), 0, 27))
        );
        assert!(area(Some("A3:I"), 2).is_err());
        assert!(area(Some("Tab!A3"), 3).is_err());
        assert_eq!(duration("10m"), Some(Duration::from_mins(10)));
        assert_eq!(duration("10"), None);
    }
}
