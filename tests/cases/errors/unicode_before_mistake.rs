use neurolake::prelude::*;

/// Temperatur an der Elektrode (°C), 温度.
#[table(delta = "s3://lake/neural/温度", tags("Größe", "温度"), ownr = "信号")]
pub struct Temperature {
    /// 時刻
    pub zeit: Timestamp,
    /// 温度
    #[column(unit = "°C", /* µ-Genauigkeit */ präzision = 2)]
    pub größe: f32,
}
