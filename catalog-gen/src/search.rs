//! Search: index and ranking.
