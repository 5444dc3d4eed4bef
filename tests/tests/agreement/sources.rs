//! One table for each source.

use neurolake::prelude::*;

/// Postgres.
#[table(postgres = "public.animals", store = "lab")]
pub struct Postgres;

/// Hive.
#[table(parquet = "s3://lake/hive/", partition_by(day: Date, "implant id": i32))]
pub struct Hive;

/// Directories.
#[table(parquet = "gs://lake/directory", partitioning = directory, partition_by(p_brand: String))]
pub struct Directory;

/// Plain files.
#[table(parquet = "/data/plain", partitioning = none, store = "nas-1")]
pub struct Plain {
    /// Unsigned is fine here.
    pub count: u64,
    /// Bytes.
    pub bytes: Option<Vec<u8>>,
}

/// A sheet.
#[table(
    sheet = "1aB3kE9pQ2_x7ZrT5",
    tab = "Größen",
    range = "A1:F",
    header_row = 2,
    refresh = "10m",
    store = "google"
)]
pub struct Sheet {
    /// Name.
    #[column(name = "Name of the animal")]
    pub name: String,
}

/// A view.
#[table(
    sql = r#"
        -- "comment"
        select s.ts, count(*) as "Number" from neural.everything s
        left join Sources.Postgres p on p.id = s.id group by 1
    "#,
    inputs(Postgres)
)]
pub struct View {
    /// Time.
    pub ts: Timestamp,
    /// Number.
    #[column(name = "Number")]
    pub number: i64,
}

/// Here on this kind of machine only.
#[cfg(any(unix, windows))]
#[table(delta = "s3://lake/machine")]
pub struct Machine;

/// On.
#[cfg(not(feature = "off"))]
#[table(delta = "s3://lake/on")]
pub struct On;

/// Off.
#[cfg(feature = "off")]
#[table(delta = "s3://lake/off")]
pub struct Off;

/// On, through an attribute.
#[cfg_attr(not(feature = "off"), table(delta = "s3://lake/switched"))]
pub struct Switched;

/// Off, through an attribute.
#[cfg_attr(feature = "off", table(delta = "s3://lake/unswitched"))]
pub struct Unswitched;
