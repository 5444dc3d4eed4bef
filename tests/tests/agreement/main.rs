//! Every feature of the declaration language once, for comparing what the macro registers with
//! what the reader finds. See [`neural::Everything`].

#![expect(
    unexpected_cfgs,
    reason = "the feature is known to the manifest that the reader sees"
)]
#![expect(unused_imports, reason = "links in documentation use them")]
#![expect(
    missing_docs,
    unreachable_pub,
    reason = "other shapes than usual are the point"
)]

#[cfg(test)]
mod compare;

pub mod documented;
pub mod functions;
#[path = "shared/elsewhere.rs"]
pub mod moved;
pub mod neural;
pub mod sources;
/// Named like a keyword.
pub mod r#type;

mod private {
    //! Not public, and served all the same.
    use neurolake::prelude::*;

    /// A private table.
    #[table(delta = "s3://lake/private")]
    struct Hidden;
}
