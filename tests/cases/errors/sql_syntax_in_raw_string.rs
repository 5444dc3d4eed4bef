use neurolake::prelude::*;

/// Sessions per day.
#[table(
    owner = "signals",
    sql = r#"
        select day, count(* as sessions
        from neural.sessions
    "#,
    tags("neural")
)]
pub struct SessionsPerDay;
