use neurolake::prelude::*;

/// Spikes of all channels.
#[table(sql = "select ts from key_store_of_view.sessions", store = "lab")]
pub struct Spikes;

/// Recorded sessions.
#[table(delta = "s3://lake/neural/sessions")]
pub struct Sessions;
