//! Client code for each table.
