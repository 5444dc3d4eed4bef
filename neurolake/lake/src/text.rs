//! Values as text, in the forms that `parse` reads. This is also how serde writes them.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::values::{Blob, Date, Decimal, Timestamp};

const DAY: i64 = 86_400_000_000;
const SECOND: i64 = 1_000_000;

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years that begin in March end with the leap day; 146,097 days are 400 years.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

fn write_day(f: &mut fmt::Formatter<'_>, days: i64) -> fmt::Result {
    let (year, month, day) = civil(days);
    if !(0..=9_999).contains(&year) {
        // As ISO 8601 has it for years of more digits.
        return write!(f, "{year:+06}-{month:02}-{day:02}");
    }
    write!(f, "{year:04}-{month:02}-{day:02}")
}

/// `2026-03-01`
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_day(f, self.as_days().into())
    }
}

/// `2026-03-01T09:30:00.015Z`, without a fraction where it is zero.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.as_micros();
        write_day(f, micros.div_euclid(DAY))?;
        let time = micros.rem_euclid(DAY);
        let seconds = time / SECOND;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "T{hour:02}:{minute:02}:{second:02}")?;
        match time % SECOND {
            0 => f.write_str("Z"),
            fraction if fraction % 1_000 == 0 => write!(f, ".{:03}Z", fraction / 1_000),
            fraction => write!(f, ".{fraction:06}Z"),
        }
    }
}

/// `-12.50`
impl<const P: u8, const S: u8> fmt::Display for Decimal<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.unscaled() < 0 { "-" } else { "" };
        let scale = usize::from(S);
        let width = scale + 1;
        let digits = format!("{:0width$}", self.unscaled().unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        if fraction.is_empty() {
            return write!(f, "{sign}{whole}");
        }
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<const P: u8, const D: u8> Serialize for Decimal<P, D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Blob", 3)?;
        fields.serialize_field("uri", &self.uri)?;
        fields.serialize_field("media_type", &self.media_type)?;
        fields.serialize_field("bytes", &self.bytes)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        // Every few days of ten thousand years, with primes that meet all months and times.
        for days in (-719_528..2_932_896).step_by(97) {
            let date = Date::from_days(days);
            assert_eq!(date.to_string().parse(), Ok(date), "{days}");
            let micros = i64::from(days) * DAY + i64::from(days.rem_euclid(86_399)) * 1_000_003;
            let instant = Timestamp::from_micros(micros);
            assert_eq!(instant.to_string().parse(), Ok(instant), "{micros}");
        }
        for unscaled in [-9_999, -101, -1, 0, 5, 99, 1_250, 9_999] {
            let decimal = Decimal::<4, 2>::from_unscaled(unscaled).expect("four digits");
            assert_eq!(decimal.to_string().parse(), Ok(decimal), "{unscaled}");
        }
    }

    #[test]
    fn text_has_the_usual_forms() {
        let instant = |micros| Timestamp::from_micros(micros).to_string();
        assert_eq!(instant(1_772_357_400_000_000), "2026-03-01T09:30:00Z");
        assert_eq!(instant(1_772_357_400_015_000), "2026-03-01T09:30:00.015Z");
        assert_eq!(instant(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(Date::from_days(2_932_897).to_string(), "+10000-01-01");
        let decimal = |unscaled| Decimal::<10, 2>::from_unscaled(unscaled).map(|d| d.to_string());
        assert_eq!(decimal(-5), Some("-0.05".into()));
        assert_eq!(
            Decimal::<3, 0>::from_unscaled(-7).map(|d| d.to_string()),
            Some("-7".into())
        );
        let blob = Blob {
            uri: "s3://lake/a.png".into(),
            media_type: "image/png".into(),
            bytes: 7,
        };
        assert_eq!(
            serde_json::to_string(&(blob, Date::from_days(0))).ok(),
            Some(
                r#"[{"uri":"s3://lake/a.png","media_type":"image/png","bytes":7},"1970-01-01"]"#
                    .into()
            )
        );
    }
}
