//! Types of columns that Rust itself has no type for.

/// An instant, in microseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant so many microseconds after 1970-01-01 00:00 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01 00:00 UTC.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

/// A calendar day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Date(i32);

impl Date {
    /// The day so many days after 1970-01-01.
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub const fn as_days(self) -> i32 {
        self.0
    }
}

/// An exact decimal number of `P` digits, `S` of them behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal<const P: u8, const S: u8>(i128);

impl<const P: u8, const S: u8> Decimal<P, S> {
    /// The number `unscaled / 10^S`. `None` where it has more than `P` digits.
    pub const fn from_unscaled(unscaled: i128) -> Option<Self> {
        if unscaled.unsigned_abs() < 10_u128.pow(P as u32) {
            Some(Self(unscaled))
        } else {
            None
        }
    }

    /// The number times `10^S`.
    pub const fn unscaled(self) -> i128 {
        self.0
    }
}

/// A reference to an image, a video or any other file beside the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Blob {
    /// Address of the file.
    pub uri: String,
    /// Media type, such as `image/tiff`.
    pub media_type: String,
    /// Size of the file in bytes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_holds_no_more_than_its_digits() {
        assert!(Decimal::<4, 2>::from_unscaled(-9_999).is_some());
        assert!(Decimal::<4, 2>::from_unscaled(10_000).is_none());
        assert!(Decimal::<38, 0>::from_unscaled(10_i128.pow(37)).is_some());
    }
}
