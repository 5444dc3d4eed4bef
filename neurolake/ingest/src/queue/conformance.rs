//! What every queue must do, as tests that an implementation calls.
