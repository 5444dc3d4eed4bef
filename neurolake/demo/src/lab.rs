//! The laboratory's relational data: animals and stock, in the Postgres databases of their own
//! applications.
//!
//! Queries run against read replicas that lag by seconds. Filters and limits are pushed down, so
//! small questions are cheap; for whole-table joins with neural data, prefer a filter on the day.

use neurolake::prelude::*;

/// Animals of the colony, one row each, alive or not.
///
/// Maintained by animal care in the colony application. Weights are of the last weighing; the
/// history stays in the application.
#[table(
    postgres = "colony.animals",
    store = "colony",
    unique_by(tag),
    owner = "animal-care",
    tags("animals", "reference"),
    example(species = "sheep", sex = "f", left_on = None)
)]
pub struct Animals {
    /// Ear tag, such as `A-0412`.
    pub tag: String,
    /// Name given by the keepers.
    pub name: Option<String>,
    /// `rat`, `pig`, `sheep` or `macaque`.
    pub species: String,
    /// Strain or breed.
    pub strain: Option<String>,
    /// `f` or `m`.
    pub sex: String,
    /// Day of birth; estimated for bought animals.
    pub born_on: Date,
    /// Last weighing.
    #[column(unit = "kg")]
    pub weight: Decimal<6, 2>,
    /// Approved protocol under which the animal is kept.
    pub protocol: String,
    /// Day of leaving the colony for any reason; null while in it.
    pub left_on: Option<Date>,
    /// Room and pen, such as `B2-14`.
    #[column(name = "location")]
    pub pen: String,
}

/// Reagents and consumables in stock, one row per lot.
///
/// Booked by barcode at the storeroom. An antibody's lot matters: name it when you compare stains
/// of [`crate::imaging::Slides`] that were made months apart.
#[table(
    postgres = "inventory.reagents",
    store = "inventory",
    unique_by(lot),
    owner = "histology",
    tags("stock"),
    example(catalog_number = "AB5541", unit_price = "412.00")
)]
#[doc(alias = "antibodies")]
#[doc(alias = "chemicals")]
pub struct Reagents {
    /// Lot number of the maker.
    pub lot: String,
    /// Catalogue number of the maker.
    pub catalog_number: String,
    /// What it is, such as `anti-GFAP, chicken`.
    pub description: String,
    /// Units left.
    pub quantity: i32,
    /// What one unit holds.
    #[column(unit = "ml")]
    pub volume: Option<Decimal<8, 3>>,
    /// Price of a unit when bought, without tax.
    #[column(unit = "EUR")]
    pub unit_price: Decimal<10, 2>,
    /// Day after which it must not be used.
    pub expires_on: Date,
    /// Where to keep it; -80 for most antibodies.
    #[column(unit = "degC")]
    pub storage_temp: i16,
    /// Safety data sheet.
    #[column(renamed_from = "msds_url")]
    pub safety_sheet: Option<String>,
}
