//! `#[table]` and `#[derive(Columns)]`: a thin door over `neurolake-declare`, which holds all the
//! rules. This room only keeps the item and registers the declaration; it decides nothing.

mod expand;

use proc_macro::TokenStream;

/// Declares a table of the catalog. The whole language is described in the README of neurolake.
///
/// The item is kept as it is; its declaration is registered in the program as well. Without the
/// `engine` feature of `neurolake` the body of a function is dropped, because only the query engine
/// can compile it.
#[proc_macro_attribute]
pub fn table(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::table(arguments.into(), &item.into()).into()
}

/// Lets a struct be the type of a column, or the rows of a table function.
#[proc_macro_derive(Columns, attributes(column))]
pub fn columns(item: TokenStream) -> TokenStream {
    expand::columns(item.into()).into()
}
