//! Neural signals.

mod deep;
pub mod nested;
#[path = "shared/sibling.rs"]
pub mod sibling;

pub mod inline {
    //! An inline module.
    #[path = "other.rs"]
    pub mod other;

    pub mod inner;

    pub use super::deep::*;
}

use std::collections::{BTreeMap, HashMap};

use neurolake::prelude::*;

use self::nested as n;
use crate::moved::{self, Far as Further};
use n::*;

/// All types and all keys.
#[table(
    delta = "s3://lake/neural/everything",
    store = "main",
    partition_by(implant_id, day),
    sort_by(ts, "id"),
    unique_by(id),
    owner = "signals",
    tags("phi", "neural"),
    freshness = "2s",
    ingest,
    inputs(inline::Deep, crate::moved::Far, "sources.hive"),
    notebook("Look", "https://example.org/look.ipynb"),
    example(
        implant_id = 7,
        day = "2026-03-01",
        small = -128,
        flag = true,
        float = -0.5,
        text = "it's \"quoted\"\n\\ 温度",
        bytes = "00FF",
        price = "-12.50",
        ts = "2026-03-01T09:30:00.000250Z",
        list = [1, 2],
        maybe = None
    ),
)]
#[derive(Debug, Clone)]
pub struct Everything {
    /// Identity.
    pub id: i64,
    /// Implant.
    pub implant_id: i32,
    /// Day.
    pub day: Date,
    /// Device clock.
    #[column(unit = "us", since = 2, renamed_from = "time")]
    pub ts: Timestamp,
    /// Small.
    pub small: i8,
    /// Short.
    pub short: i16,
    /// Flag.
    pub flag: bool,
    /// Float.
    pub float: f32,
    /// Double.
    #[column(unit = "µV", pii)]
    pub double: std::primitive::f64,
    /// Text.
    pub text: std::string::String,
    /// Bytes.
    pub bytes: Vec<u8>,
    /// Price.
    pub price: Decimal<10, 2>,
    /// Image.
    pub image: Blob,
    /// Images.
    pub images: Option<Vec<Option<Blob>>>,
    /// Maybe.
    pub maybe: Option<i32>,
    /// List.
    pub list: Vec<i64>,
    /// Map.
    pub map: BTreeMap<String, Option<f64>>,
    /// Nested.
    pub place: Place,
    /// Through a path.
    pub other: Option<n::inner::Other>,
    /// Through lists and maps.
    pub places: HashMap<i32, Vec<crate::neural::nested::Place>>,
    /// From another module.
    pub far: Option<moved::Near>,
    /// A keyword.
    pub r#type: String,
}

/// Uses the rest.
#[table(delta = "s3://lake/neural/rest", inputs(Further))]
pub struct LFPSpectrum2;
