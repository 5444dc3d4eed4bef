//! Schema differences between two catalogs.
