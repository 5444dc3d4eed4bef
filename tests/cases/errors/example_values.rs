use neurolake::prelude::*;

/// Orders of parts.
#[table(
    delta = "s3://lake/mfg/orders",
    example(
        id = "7",
        small = 300,
        day = "2026-02-30",
        ts = "2026-03-01 09:30",
        price = "1234.5",
        active = 1,
        note = None,
        label = 5,
        digest = "xyz",
        weights = 0.5,
        weeks = [1, "2"],
        ratio = "high",
        scan = "s3://lake/scan.tiff"
    )
)]
pub struct Orders {
    /// Number.
    pub id: i64,
    /// Small number.
    pub small: i8,
    /// Day of the order.
    pub day: Date,
    /// Instant of the order.
    pub ts: Timestamp,
    /// Price.
    pub price: Decimal<5, 2>,
    /// Whether it is open.
    pub active: bool,
    /// Free text.
    pub note: Option<String>,
    /// Label.
    pub label: String,
    /// Checksum.
    pub digest: Vec<u8>,
    /// Weights.
    pub weights: Vec<f32>,
    /// Weeks.
    pub weeks: Vec<i32>,
    /// Ratio.
    pub ratio: f64,
    /// Scan of the paper.
    pub scan: Blob,
}
