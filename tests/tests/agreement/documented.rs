/*! Documentation in all its forms.

Indented code. */

use neurolake::prelude::*;

use crate::neural::Everything as All;

///   Indented by three blanks,
///     and deeper.
///
/// - a list with [`All`] and [all](All::ts)
///
/// ```sql
/// select [`not_a_link`] from documented.comments
/// ```
#[table(delta = "s3://lake/comments")]
/// After the attribute.
pub struct Comments;

/** A block.

 * with a bullet
 * and another one

End. */
#[table(delta = "s3://lake/blocks")]
pub struct Blocks {
    /** One line. */
    pub one: i32,
    /**
     * Stars in
     * front.
     */
    pub stars: i32,
    #[doc = "An attribute,\nwith two lines."]
    #[doc = ""]
    #[doc = " and \"quotes\", größer, 温度, \u{1F9E0}."]
    pub attribute: i32,
    pub nothing: i32,
}

/// Old.
#[deprecated]
#[table(delta = "s3://lake/old")]
pub struct Old;

/// Older.
#[table(delta = "s3://lake/older")]
#[deprecated = "Use [`Old`]."]
#[doc(hidden)]
pub struct Older {
    /// Column.
    #[deprecated(since = "2.0.0", note = "Use [`All::ts`].")]
    #[doc(alias = "time")]
    pub ts: Timestamp,
}

/// Aliases.
#[doc(alias = "alias")]
#[doc(alias("other", "names"))]
#[table(delta = "s3://lake/aliased")]
pub struct Aliased;
