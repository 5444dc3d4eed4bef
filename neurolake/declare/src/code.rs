//! Every diagnostic, with a stable code and an explanation.

use std::fmt;

macro_rules! codes {
    ($($number:literal $variant:ident $title:literal $explanation:literal)*) => {
        /// A rule of the language. Its number never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All codes, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            fn number(self) -> u16 {
                match self { $(Self::$variant => $number),* }
            }

            /// The rule in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// The rule, its reason and the right way, in Markdown.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $explanation),* }
            }
        }
    };
}

impl Code {
    /// Finds a code by its text, such as `NL0006`; case and the prefix don't matter.
    pub fn find(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let number: u16 = text.trim_start_matches("NL").parse().ok()?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NL{:04}", self.number())
    }
}

// 1 to 99: found in one item, by the macro and the reader alike. From 101: found by the reader,
// which sees files and the whole catalog.
codes! {
    1 Arguments "malformed arguments"
        "Arguments of `#[table(...)]` and `#[column(...)]` are separated by commas. Each is `key = literal`, `key(element, ...)` or `key`.\n\n    #[table(delta = \"s3://lake/neural/spikes\", owner = \"signals\", tags(\"neural\"))]"
    2 UnknownKey "unknown key"
        "The key is not part of the language. Nothing is ignored silently: a misspelt `owner` would otherwise be a table without one."
    3 DuplicateKey "key given twice"
        "Each key may be given once; only `notebook` may be repeated."
    4 NotALiteral "value is not a literal"
        "The catalog is read from source without compiling, so values are written out: strings, numbers, `true`, `false`, `None` and lists of these. Constants, `concat!`, `env!`, `format!` and suffixes such as `7i32` are refused by the macro too, so that what compiles is what the catalog shows."
    5 WrongKind "wrong kind of value"
        "The key takes another kind of value. The message shows the right shape.\n\n    owner = \"signals\"          tags(\"neural\", \"phi\")          header_row = 2"
    6 NoSource "no source"
        "A struct needs exactly one source: `delta`, `parquet`, `postgres`, `sheet` or `sql`. A function is a source itself.\n\n    #[table(delta = \"s3://lake/mfg/part\")]\n    pub struct Part;"
    7 TwoSources "more than one source"
        "A table has one source. Declare two tables, and a view over both with `sql = \"...\"`."
    8 KeyOfOtherSource "key of another source"
        "The key means something for other kinds of sources only: `tab`, `range`, `header_row` and `refresh` belong to `sheet`, `partitioning` to `parquet`, `partition_by` and `sort_by` to `delta` and `parquet`, `ingest` to `delta`, `rows` to functions."
    9 MissingKey "key is missing"
        "The source needs another key. `postgres` needs `store`, the name of a connection that is configured outside of the source.\n\n    #[table(postgres = \"public.animals\", store = \"lab\")]"
    10 WrongItem "item can't be a table"
        "`#[table]` stands on a struct or on a function, `#[derive(Columns)]` on a struct with named fields."
    11 Generics "generic item"
        "A table has one schema and one name, so its item has no type, lifetime or const parameters."
    12 TupleStruct "columns without names"
        "Fields of a tuple struct have no names. Write named fields."
    13 ColumnType "type can't be a column"
        "Column types: `bool`, `i8` to `i64`, `u8` to `u64`, `f32`, `f64`, `String`, `Vec<u8>` (bytes), `Date`, `Timestamp`, `Decimal<P, S>`, `Blob`; `Option<T>` for nullable, `Vec<T>` for lists, `BTreeMap<K, V>` and `HashMap<K, V>` for maps, and structs with `#[derive(Columns)]`."
    14 UnsignedInDelta "unsigned integer in a Delta table"
        "The Delta protocol has no unsigned integers. Take the next wider signed type, so that no value is lost."
    15 Decimal "decimal out of range"
        "`Decimal<P, S>` has `P` digits in all (1 to 38), `S` of them behind the point."
    16 UnknownChoice "unknown choice"
        "The key takes one of a few bare words, such as `partitioning = hive`."
    17 Name "invalid name"
        "Names of databases, tables and stores stand in SQL, in addresses and in file names: lower-case ASCII letters, digits and `_`, starting with a letter. Names of columns are free."
    18 Uri "invalid address"
        "An address is `scheme://bucket/path` or a path. It has no white space, no `*`, and nothing behind `?` or `#`: options belong to a named store."
    19 Secret "credential in the source"
        "Credentials are configured for a named store, outside of the source. Whatever stands in the source is in version control and on the catalog site. The excerpt is left out of this message.\n\n    #[table(postgres = \"public.animals\", store = \"lab\")]"
    20 Duration "invalid length of time"
        "A length of time is a whole number and a unit: `500ms`, `2s`, `15m`, `24h`, `7d`."
    21 UnknownColumn "unknown column"
        "`partition_by`, `sort_by`, `unique_by` and `example` name columns of the table (or arguments of the function)."
    22 Duplicate "element stands twice"
        "An element of the list is repeated."
    23 PartitionType "type can't be a partition"
        "Values of a partition column stand in paths, so they are text, integers, `bool`, `Date`, `Timestamp` or `Decimal`. With a schema struct the field says the type; give it in `partition_by(...)` for unit structs only."
    24 OnlyPartitions "only partition columns"
        "Values of partition columns stand in paths. If every column is one, files hold nothing."
    25 ExampleValue "example doesn't fit"
        "An example value must fit the type of its column: it is copied into snippets that people run.\n\n    example(day = \"2026-03-01\", ts = \"2026-03-01T09:30:00Z\", price = \"12.50\", active = true)"
    26 SqlSyntax "statement is no SQL"
        "The text of `sql = \"...\"` doesn't parse. Line and column are counted inside the statement."
    27 SqlNotAQuery "view is not a query"
        "A view is one `select` (or `with ... select`, or `union`). Tables are read-only."
    28 SqlUnqualified "table without its database"
        "A view names tables as `database.table`, so that lineage can be read from it and it means the same everywhere."
    29 SqlColumns "statement and struct differ"
        "The columns of the statement must have the names of the struct's fields, in the same order."
    30 Signature "signature of a table function"
        "A table function is\n\n    pub async fn name(lake: &Lake, argument: Option<i64>) -> Result<DataFrame> { ... }\n\nEach argument after `lake` is a filter."
    31 ArgumentType "type can't be a filter"
        "Arguments of a table function are filters: scalars, `Option` of a scalar (optional), `Vec` of a scalar."
    32 DuplicateColumn "column declared twice"
        "Two columns have the same name; case doesn't count, because SQL folds it."
    33 CfgColumn "column depends on the build"
        "A table has one schema. `#[cfg]` may stand on the whole item."
    34 DocAttribute "malformed attribute"
        "`#[doc]` and `#[deprecated]` take literals: the catalog is read without compiling.\n\n    #[deprecated(since = \"2026.3.1\", note = \"Use [`Spikes`].\")]"
    35 NoColumns "no columns"
        "A schema struct has at least one field. A unit struct (`struct Name;`) reads its schema from the source at run time."
    36 Partitioning "partitioning and partition columns differ"
        "`partitioning = hive` and `partitioning = directory` need `partition_by(...)`, and the other way round."
    37 Relation "invalid relation"
        "A PostgreSQL table is named by schema and name, as in `public.animals`. The connection is named by `store`."
    38 Sheet "invalid spreadsheet"
        "A Google Sheet is named by its id, which stands between `/d/` and `/edit` in its address."
    39 NotebookAddress "invalid notebook address"
        "A notebook is linked by an `https://` address, or by a path from the root of the repository."
    40 HiddenColumn "hidden column"
        "A column is part of the schema. `#[doc(hidden)]` may stand on the whole item."
    41 SortByPartition "sorted by a partition column"
        "A partition column is the same in a whole file, so files can't be sorted by it."
    42 IngestWithoutColumns "events without declared columns"
        "A table with `ingest` takes events from clients. Each one is checked against the columns of the struct before it is accepted, so they are declared.\n\n    #[table(delta = \"s3://lake/neural/spikes\", ingest)]\n    pub struct Spikes {\n        pub ts: Timestamp,\n        pub channel: i16,\n    }"
    101 Unreadable "file can't be read"
        "The file is named by a `mod` or a target, and can't be opened."
    102 NotUtf8 "file is not UTF-8"
        "Rust source is UTF-8. Save the file in that encoding."
    103 TooLarge "file is too large"
        "Source files over 16 MiB are not read. Generated data belongs into a table, not into source."
    104 Syntax "syntax error"
        "The file is no valid Rust. The compiler would say the same."
    105 MissingModule "module file not found"
        "`mod name;` needs `name.rs` or `name/mod.rs` beside it, or a `#[path]`."
    106 CircularModules "circular modules"
        "A module file includes itself, directly or through others."
    107 InMacro "table inside a macro"
        "`#[table]` inside `macro_rules!` or a macro call can't be read without compiling, so it would be served and not documented. Write the item out."
    108 Unreached "table in a file that no module reaches"
        "The file holds `#[table]`, but no `mod` leads to it, so neither the program nor the catalog knows it."
    109 DuplicateTable "table declared twice"
        "Two items have the same `database.table`. Rename one item, or give it `name = \"...\"`. A table with `ingest` has a second name: its dead letters are `database.table__dead_letters`."
    110 NoDatabase "table without a database"
        "The database is the top-level module. Move the item into a module, or say `database = \"...\"`."
    111 UnknownStruct "struct not found"
        "The type of a column (or `rows`) names a struct that has no `#[derive(Columns)]`, or that is not in scope. Bring it into scope with `use`, or write its path."
    112 RecursiveStruct "recursive struct"
        "A struct contains itself, so its schema would have no end."
    113 UnknownInput "input not found"
        "`inputs(...)` or a function's body names something that is no table. Use the path of the item as Rust sees it here, or `\"database.table\"`."
    114 CircularInputs "circular views"
        "Views read each other in a circle, so none can be computed."
    115 DanglingLink "dangling link"
        "A link in the documentation names no table or column. Write `\\[text\\]` for brackets that are no link."
    116 MissingDocs "documentation is missing"
        "The workspace's policy asks for documentation of every table. Write a `///` comment."
    117 MissingOwner "owner is missing"
        "The workspace's policy asks for an owner of every table: `owner = \"team\"`."
    118 Stale "committed catalog is stale"
        "The committed `catalog.json` is not what the source says. Run `catalog-gen build` and commit the result."
    119 SwitchedOff "switched off by cfg"
        "The predicate of `#[cfg]` is false, so the table is not part of this catalog. Switch a feature on with `--features`."
    120 NoTables "no tables"
        "The workspace declares no table. A declaring package depends on `neurolake`; `#[table]` items in its modules are tables."
    121 Settings "invalid setting"
        "Settings stand in `[workspace.metadata.neurolake]` of the root `Cargo.toml`, or in `[package.metadata.neurolake]`."
    122 CatalogName "catalog without a name"
        "Several packages declare tables, so none can lend the catalog its name. Say it in the root `Cargo.toml`:\n\n    [workspace.metadata.neurolake]\n    catalog = \"lake\""
    123 SqlUnknownTable "view reads an unknown table"
        "The statement reads a table that the catalog doesn't have."
    124 ReservedDatabase "reserved database name"
        "The site or SQL needs this name for itself. Rename the module, or say `database = \"...\"`."
    125 SharedIngest "one Delta table takes events twice"
        "Each table with `ingest` has a queue of its own, and the Delta table holds how far that queue is written. A second queue for the same Delta table would take its place for its own and skip events. Keep `ingest` on one of the tables."
}
