use neurolake::prelude::*;

/// Sessions per day.
#[table(
    sql = r#"
        select day, count(*) as sessions, max(ended_at) as last
        from sql_columns_differ.sessions
        group by day
    "#
)]
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
