use neurolake::prelude::*;

const DIGITS: u8 = 10;

/// Orders.
#[table(delta = "s3://lake/neural/spikes")]
pub struct Orders {
    /// Price of the part.
    pub price: Decimal<DIGITS, 2>,
}
