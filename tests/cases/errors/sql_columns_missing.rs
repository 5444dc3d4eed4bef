use neurolake::prelude::*;

/// Sessions per day.
#[table(sql = "select day, count(*) as n from sql_columns_missing.sessions group by day")]
pub struct SessionsPerDay {
    /// Local day.
    pub day: Date,
    /// Number of sessions.
    pub n: i64,
    /// End of the last one.
    pub last: Timestamp,
}

/// Recorded sessions.
#[table(delta = "s3://lake/neural/sessions")]
pub struct Sessions;
