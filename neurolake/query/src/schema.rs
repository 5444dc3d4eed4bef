//! The declared schema against the stored one.
