//! Rows for people.

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Characters of one cell.
const WIDEST: usize = 60;

/// A table of text.
pub(super) struct TextTable {
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    is_number: bool,
    width: usize,
    cells: Vec<String>,
}

impl TextTable {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|field| {
            let name = cell(field.name());
            Column {
                is_number: field.data_type().is_numeric(),
                width: name.chars().count(),
                cells: vec![name],
            }
        });
        Self {
            columns: columns.collect(),
            rows: 0,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds at most so many rows of a batch.
    pub(super) fn push(&mut self, batch: &RecordBatch, most: usize) -> Result<(), ArrowError> {
        let rows = batch.num_rows().min(most);
        let options = FormatOptions::new().with_display_error(false);
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            let formatter = ArrayFormatter::try_new(array, &options)?;
            let nulls = array.logical_nulls();
            for row in 0..rows {
                let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                let text = if is_null {
                    "NULL".to_owned()
                } else {
                    cell(&formatter.value(row).try_to_string()?)
                };
                column.width = column.width.max(text.chars().count());
                column.cells.push(text);
            }
        }
        self.rows += rows;
        Ok(())
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for row in 0..=self.rows {
            let cells: Vec<String> = self
                .columns
                .iter()
                .map(|column| column.padded(row))
                .collect();
            text.push_str(cells.join(" | ").trim_end());
            text.push('\n');
            if row == 0 {
                let line: Vec<String> = self.columns.iter().map(|c| "-".repeat(c.width)).collect();
                text.push_str(&line.join("-+-"));
                text.push('\n');
            }
        }
        text
    }
}

impl Column {
    fn padded(&self, row: usize) -> String {
        let text = self.cells.get(row).map_or("", String::as_str);
        let width = self.width;
        if self.is_number {
            format!("{text:>width$}")
        } else {
            format!("{text:<width$}")
        }
    }
}

/// One line, without what a terminal would obey.
fn cell(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    if text.chars().count() <= WIDEST {
        return text.chars().map(plain).collect();
    }
    let mut shown: String = text.chars().take(WIDEST - 3).map(plain).collect();
    shown.push_str("...");
    shown
}

/// Lines of cells, aligned.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_gives_no_orders_to_the_terminal() {
        assert_eq!(cell("a\x1b[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(cell(&"x".repeat(100)).chars().count(), WIDEST);
    }
}
