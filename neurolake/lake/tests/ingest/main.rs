//! The client of the ingestion door against a door that misbehaves on purpose.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod door;
mod producer;
mod sender;

/// What is measured in these tests.
pub mod lab {
    use neurolake::prelude::*;

    /// One reading of a sensor.
    #[table(delta = "s3://lake/lab/readings", partition_by(day))]
    #[derive(serde::Serialize)]
    pub struct Readings {
        /// When it was read.
        pub ts: Timestamp,
        /// Day of it.
        pub day: Date,
        /// Its number.
        #[column(unit = "1")]
        pub number: i64,
        /// What was read; NaN if nothing was.
        pub values: Vec<f32>,
        /// What the sensor says itself.
        pub raw: Vec<u8>,
        /// Where.
        pub place: Option<Place>,
    }

    /// A place.
    #[derive(Columns, serde::Serialize)]
    pub struct Place {
        /// Its marks.
        pub marks: Vec<Option<Vec<u8>>>,
    }
}

fn reading(number: i64) -> lab::Readings {
    lab::Readings {
        ts: neurolake::Timestamp::from_micros(1_772_357_400_000_100 + number),
        day: neurolake::Date::from_days(20_513),
        number,
        values: vec![0.5, f32::NAN],
        raw: vec![1, 2, 3],
        place: None,
    }
}

fn readings(numbers: std::ops::Range<i64>) -> Vec<lab::Readings> {
    numbers.map(reading).collect()
}
