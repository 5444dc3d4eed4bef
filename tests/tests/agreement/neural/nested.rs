use neurolake::{Columns, prelude as lake};

/// A place, see [`Place::x`] and [`super::Everything`].
#[derive(Debug, Clone, Columns)]
pub struct Place {
    /// Distance from [the midline](inner::Other), as in [`crate::neural::Everything::ts`].
    #[column(unit = "mm")]
    pub x: f32,
    /// Deeper.
    pub other: Option<inner::Other>,
}

pub mod inner {
    /// Other.
    #[derive(Debug, Clone, neurolake::Columns)]
    pub struct Other {
        /// When, unlike [`super::Place`].
        #[deprecated(note = "Use [`Other`].")]
        pub at: super::lake::Timestamp,
        /// Renamed.
        #[column(name = "class", pii)]
        pub r#type: String,
    }
}
