//! The only reader of `#[table]`. This room knows the grammar of the declaration language and
//! turns tokens into [`neurolake_model::declaration`] values, reporting every mistake at once. It
//! refuses to read files, to resolve names across items, and to know who calls it: the proc macro
//! and the source reader get the same answer, word for word.
//!
//! Read in this order: `table` (one item from attribute to declaration), `arguments` (the
//! grammar of `key = literal`), `source` (which keys belong together), `columns` (fields and
//! types), `function`, `literal` (example values), `sql` (lineage of views), `documentation`
//! (Rust's own attributes), `secret`, `code` (every diagnostic, explained).
//!
//! Words: a *key* stands left of `=` in `#[table(...)]`; an *item* is the struct or function that
//! carries the attribute; an *input* is a table that another one reads.

mod arguments;
pub mod code;
mod columns;
pub mod diagnostic;
pub mod documentation;
mod function;
mod literal;
pub mod names;
pub mod secret;
mod source;
pub mod sql;
pub mod table;
mod tokens;

pub use code::Code;
pub use columns::{columns, columns_wrong_item};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, SpanRange};
pub use table::{Item, attribute_arguments, table};
