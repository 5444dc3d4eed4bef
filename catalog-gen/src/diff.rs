//! Schema differences between two catalogs, judged for readers: whoever queries a table by its
//! names or reads its files. A change is breaking if a query that worked may fail, or may quietly
//! answer something else; for a table that takes events also if rows that were accepted are refused.

mod compare;
mod render;
mod widening;

use serde::{Deserialize, Serialize};

/// Everything that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogDiff {
    /// Whether any change is breaking.
    pub breaking: bool,
    /// Number of tables that are new.
    pub added: usize,
    /// Number of tables that are gone.
    pub removed: usize,
    /// Number of tables that are in both and differ.
    pub changed: usize,
    /// Sorted by table; within a table in the order in which readers care.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What kind of difference.
    pub kind: ChangeKind,
    /// `database.table`; for a change of a database its name, for one of the catalog an empty text.
    pub table: String,
    /// Path of the column, with points between nested names, or name of the argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Whether readers may have to act.
    pub breaking: bool,
    /// What happened, in one line of plain text.
    pub message: String,
    /// Both sides, where they say more than the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// Both sides of a difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Before; empty if there was nothing.
    pub old: String,
    /// After; empty if there is nothing.
    pub new: String,
}

/// Stable names of the kinds of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name is a sentence")]
pub enum ChangeKind {
    CatalogRenamed,
    EndpointChanged,
    CatalogChanged,
    TableRemoved,
    TableAdded,
    SourceChanged,
    SourceMoved,
    ViewChanged,
    SchemaDeclared,
    SchemaUndeclared,
    ColumnRemoved,
    ColumnRenamed,
    ColumnRetyped,
    ColumnNullable,
    ColumnRequired,
    ColumnAdded,
    UnitChanged,
    PiiChanged,
    ArgumentRemoved,
    ArgumentRetyped,
    ArgumentRequired,
    ArgumentOptional,
    ArgumentAdded,
    PartitionChanged,
    PartitionRetyped,
    SortChanged,
    UniqueChanged,
    IngestChanged,
    FreshnessChanged,
    RustPathChanged,
    CfgChanged,
    Deprecated,
    Undeprecated,
    DeprecationChanged,
    OwnerChanged,
    TagsChanged,
    VisibilityChanged,
    InputsChanged,
    NotebooksChanged,
    ExampleChanged,
    AliasesChanged,
    HistoryChanged,
    DocsChanged,
}

impl ChangeKind {
    /// Whether it is about what people read, not about what queries get.
    pub fn is_documentation(self) -> bool {
        self >= Self::OwnerChanged || self == Self::CatalogChanged
    }
}
