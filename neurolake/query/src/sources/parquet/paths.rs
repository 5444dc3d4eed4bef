//! Values of partition columns in paths: reading them, and which folders a filter needs.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use neurolake_model::Partitioning;
use object_store::path::Path;

use crate::error::{Error, Kind, Result};
use crate::schema::words;

/// How Hive writes null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// More folders than this are found by listing the folder above them.
const MAX_PREFIXES: usize = 256;

/// How partition values stand in paths.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) partitioning: Partitioning,
    /// Name and type, outermost first.
    pub(crate) columns: Vec<(String, DataType)>,
}

/// Whether readers of a folder look at this file: neither hidden nor an index or marker of a
/// writer (`_SUCCESS`, `.part-0.crc`, `_temporary/...`).
pub(crate) fn is_data(below: &Path) -> bool {
    let hidden = below.parts().any(|part| {
        let part = part.as_ref();
        part.starts_with('.') || part.starts_with('_') && !part.contains('=')
    });
    let name = below.filename().unwrap_or_default().to_ascii_lowercase();
    let parquet = [".parquet", ".parq", ".pq"];
    !hidden && parquet.iter().any(|extension| name.ends_with(extension))
}

impl Layout {
    /// Values of the partition columns of a file.
    pub(crate) fn values(&self, below: &Path, address: &str) -> Result<Vec<ScalarValue>> {
        let mut folders: Vec<String> = below.parts().map(|part| part.as_ref().to_owned()).collect();
        folders.pop();
        let mut values = Vec::with_capacity(self.columns.len());
        for (index, (name, data_type)) in self.columns.iter().enumerate() {
            let folder = folders.get(index).map(String::as_str);
            let text = self.text(name, folder).ok_or_else(|| {
                let expected = match self.partitioning {
                    Partitioning::Hive => format!("`{name}=...`"),
                    _ => format!("that holds the value of `{name}`"),
                };
                broken(format!(
                    "`{address}` doesn't lie in a folder {expected} at depth {}",
                    index + 1
                ))
                .with_hint("move the file, or correct `partitioning` and `partition_by` of the declaration")
            })?;
            values.push(parse(&text, data_type).ok_or_else(|| {
                broken(format!(
                    "the path of `{address}` has `{text}` for the partition column `{name}`, which is no {}",
                    words(data_type)
                ))
                .with_hint(format!("rename the folder, or declare `{name}` with another type"))
            })?);
        }
        Ok(values)
    }

    fn text(&self, name: &str, folder: Option<&str>) -> Option<String> {
        let folder = folder?;
        match self.partitioning {
            Partitioning::Hive => {
                let (key, value) = folder.split_once('=')?;
                (percent_decoded(key)? == name).then(|| percent_decoded(value))?
            }
            Partitioning::Directory => Some(folder.to_owned()),
            Partitioning::None => None,
        }
    }

    /// Folders that hold all rows that the filters let through, each with its other spellings
    /// (`month=7`, `month=07`). Only columns from the outermost inwards narrow it down.
    pub(crate) fn prefixes(&self, root: &Path, filters: &[Expr]) -> Vec<Vec<Path>> {
        let mut prefixes = vec![vec![root.clone()]];
        for (name, data_type) in &self.columns {
            let Some(values) = allowed_by_all(filters, name) else {
                break;
            };
            let spellings: Option<Vec<_>> = values
                .iter()
                .filter(|value| !value.is_null())
                .map(|value| spellings(value, data_type))
                .collect();
            let Some(spellings) = spellings else { break };
            if prefixes.len() * spellings.len() > MAX_PREFIXES {
                break;
            }
            prefixes = prefixes
                .iter()
                .flat_map(|above| {
                    spellings
                        .iter()
                        .map(|spellings| self.below(above, name, spellings))
                })
                .collect();
        }
        prefixes
    }

    fn below(&self, above: &[Path], name: &str, spellings: &[String]) -> Vec<Path> {
        let folder = |value: &String| match self.partitioning {
            Partitioning::Hive => format!("{name}={value}"),
            _ => value.clone(),
        };
        above
            .iter()
            .flat_map(|above| {
                spellings
                    .iter()
                    .map(|value| above.clone().join(folder(value)))
            })
            .collect()
    }
}

/// Values that a column may have where all filters hold. `None`: any.
fn allowed_by_all(filters: &[Expr], column: &str) -> Option<Vec<ScalarValue>> {
    let mut allowed: Option<Vec<ScalarValue>> = None;
    for filter in filters {
        let Some(values) = allowed_by(filter, column) else {
            continue;
        };
        allowed = Some(match allowed {
            None => values,
            Some(before) => both(before, &values),
        });
    }
    allowed
}

fn allowed_by(filter: &Expr, column: &str) -> Option<Vec<ScalarValue>> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            match (left.as_ref(), op, right.as_ref()) {
                (Expr::Column(name), Operator::Eq, Expr::Literal(value, _))
                | (Expr::Literal(value, _), Operator::Eq, Expr::Column(name))
                    if name.name == column =>
                {
                    Some(vec![value.clone()])
                }
                (left, Operator::And, right) => {
                    match (allowed_by(left, column), allowed_by(right, column)) {
                        (Some(left), Some(right)) => Some(both(left, &right)),
                        (one, other) => one.or(other),
                    }
                }
                (left, Operator::Or, right) => {
                    let mut values = allowed_by(left, column)?;
                    for value in allowed_by(right, column)? {
                        if !values.contains(&value) {
                            values.push(value);
                        }
                    }
                    Some(values)
                }
                _ => None,
            }
        }
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => match expr.as_ref() {
            Expr::Column(name) if name.name == column => {
                let mut values: Vec<ScalarValue> = Vec::with_capacity(list.len());
                for item in list {
                    let Expr::Literal(value, _) = item else {
                        return None;
                    };
                    if !values.contains(value) {
                        values.push(value.clone());
                    }
                }
                Some(values)
            }
            _ => None,
        },
        _ => None,
    }
}

fn both(mut left: Vec<ScalarValue>, right: &[ScalarValue]) -> Vec<ScalarValue> {
    left.retain(|value| right.contains(value));
    left
}

/// Names of folders that stand for a value, the usual one first. `None` where writers don't agree
/// on one: such a folder is only found by listing.
fn spellings(value: &ScalarValue, data_type: &DataType) -> Option<Vec<String>> {
    let value = value.cast_to(data_type).ok()?;
    match &value {
        ScalarValue::Utf8(Some(text)) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let usual = !text.is_empty() && text.chars().all(plain) && !text.starts_with('.');
            usual.then(|| vec![text.clone()])
        }
        ScalarValue::Date32(Some(_)) | ScalarValue::Boolean(Some(_)) => {
            Some(vec![value.to_string()])
        }
        value if value.data_type().is_integer() => {
            let text = value.to_string();
            let mut spellings = vec![text.clone()];
            if !text.starts_with('-') {
                spellings.extend((text.len() + 1..=4).map(|width| format!("{text:0>width$}")));
            }
            Some(spellings)
        }
        _ => None,
    }
}

/// A value as a folder spells it. `None`: it is not one of this type.
fn parse(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    if text == NULL {
        return ScalarValue::try_from(data_type).ok();
    }
    match data_type {
        DataType::Utf8 => Some(ScalarValue::from(text)),
        DataType::Boolean => {
            let value = text.to_ascii_lowercase().parse().ok()?;
            Some(ScalarValue::Boolean(Some(value)))
        }
        integer if integer.is_integer() => {
            // More zeros would be a spelling that filters don't look for.
            let padded = text.len() > 4 && text.starts_with('0');
            let digits = text.strip_prefix('-').unwrap_or(text);
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if padded || !plain {
                return None;
            }
            ScalarValue::try_from_string(text.to_owned(), integer).ok()
        }
        DataType::Date32 => {
            let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            // `2026-3-1` would be a second spelling.
            if day.to_string() != text {
                return None;
            }
            ScalarValue::try_from_string(text.to_owned(), data_type).ok()
        }
        DataType::Decimal128(_, scale) => {
            // Parsing rounds.
            let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
            if i64::try_from(fraction.len()).ok()? > i64::from(*scale) {
                return None;
            }
            ScalarValue::try_from_string(text.to_owned(), data_type).ok()
        }
        other => ScalarValue::try_from_string(text.to_owned(), other).ok(),
    }
}

/// `2026-03-01%2009%3A30` is `2026-03-01 09:30`. `None`: not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

fn broken(message: String) -> Error {
    Error::new(Kind::Broken, message)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn hive(columns: &[(&str, DataType)]) -> Layout {
        let columns = columns
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), kind.clone()));
        Layout {
            partitioning: Partitioning::Hive,
            columns: columns.collect(),
        }
    }

    fn first_spellings(layout: &Layout, filter: Expr) -> Vec<String> {
        let prefixes = layout.prefixes(&Path::from("t"), &[filter]);
        prefixes
            .iter()
            .map(|spellings| spellings[0].to_string())
            .collect()
    }

    #[test]
    fn values_are_decoded_and_typed() {
        let layout = hive(&[("name", DataType::Utf8), ("n", DataType::Int32)]);
        let path = Path::parse("name=a%2Fb c/n=007/x.parquet").unwrap();
        assert_eq!(
            layout.values(&path, "x").unwrap(),
            [ScalarValue::from("a/b c"), ScalarValue::Int32(Some(7))]
        );
        let path = Path::parse("name=__HIVE_DEFAULT_PARTITION__/n=1/x.parquet").unwrap();
        assert_eq!(
            layout.values(&path, "x").unwrap()[0],
            ScalarValue::Utf8(None)
        );
    }

    #[test]
    fn a_value_of_another_type_names_file_column_and_type() {
        let layout = hive(&[("n", DataType::Int8)]);
        for bad in ["300", "x", "", "1.5", "00001"] {
            let path = Path::from_iter([format!("n={bad}"), "x.parquet".into()]);
            let error = layout.values(&path, "s3://b/t/x.parquet").unwrap_err();
            assert!(error.message.contains("s3://b/t/x.parquet"), "{error}");
            assert!(error.message.contains("`n`, which is no int8"), "{error}");
        }
    }

    #[test]
    fn only_leading_columns_narrow_the_listing() {
        let layout = hive(&[("a", DataType::Int32), ("b", DataType::Date32)]);
        assert_eq!(
            first_spellings(&layout, col("a").eq(lit(7)).or(col("a").eq(lit(8)))),
            ["t/a=7", "t/a=8"]
        );
        assert_eq!(
            first_spellings(&layout, col("b").eq(lit("2026-03-01"))),
            ["t"]
        );
        let both = col("a").eq(lit(2026)).and(col("b").eq(lit("2026-03-01")));
        assert_eq!(first_spellings(&layout, both), ["t/a=2026/b=2026-03-01"]);
        assert_eq!(first_spellings(&layout, col("a").gt(lit(7))), ["t"]);
        let none = col("a").eq(lit(1)).and(col("a").eq(lit(2)));
        assert!(first_spellings(&layout, none).is_empty());
        let many = (0..300).map(lit).collect();
        assert_eq!(
            first_spellings(&layout, col("a").in_list(many, false)),
            ["t"]
        );
    }

    #[test]
    fn a_text_that_writers_encode_is_not_guessed() {
        let layout = hive(&[("a", DataType::Utf8)]);
        assert_eq!(first_spellings(&layout, col("a").eq(lit("x y"))), ["t"]);
        assert_eq!(
            first_spellings(&layout, col("a").eq(lit("x-y"))),
            ["t/a=x-y"]
        );
    }
}
