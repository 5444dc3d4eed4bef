//! One `#[table]` item, from its attribute to its declaration.

use neurolake_model::declaration::{ColumnDeclaration, TableDeclaration, TypeRef};
use neurolake_model::{Notebook, Partition, Source, Table, Type, Value};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::{Attribute, Fields, ItemFn, ItemStruct, Meta};

use crate::arguments::{self, Argument, ArgumentValue, Lit};
use crate::code::Code;
use crate::columns::{column_type, fields, refuse_generics};
use crate::diagnostic::{Diagnostic, Diagnostics, SpanRange};
use crate::documentation::documentation;
use crate::names;
use crate::source::{SourceKeys, duration};
use crate::sql::{self, SqlError};
use crate::{function, literal};

const KEYS: &[&str] = &[
    "owner",
    "freshness",
    "tags",
    "inputs",
    "notebook",
    "example",
    "unique_by",
    "name",
    "database",
];

/// An item that can be a table.
#[derive(Clone, Copy)]
pub enum Item<'a> {
    /// Unit struct or schema struct.
    Struct(&'a ItemStruct),
    /// Table function.
    Function(&'a ItemFn),
}

/// The tokens inside `#[table(...)]`, for callers that hold the attribute.
///
/// # Errors
/// `#[table = ...]` and `#[table[...]]` are no lists.
pub fn attribute_arguments(attribute: &Attribute) -> Result<TokenStream, Box<Diagnostic>> {
    match &attribute.meta {
        Meta::Path(_) => Ok(TokenStream::new()),
        Meta::List(list) => Ok(list.tokens.clone()),
        Meta::NameValue(meta) => Err(Box::new(
            Diagnostic::new(
                Code::Arguments,
                SpanRange::of(&meta.value),
                "expected `#[table(...)]`",
            )
            .help("as in `#[table(delta = \"s3://lake/neural/spikes\")]`"),
        )),
    }
}

/// The keyword of an item and its name for people.
pub(crate) fn describe(item: &syn::Item) -> (Span, &'static str) {
    match item {
        syn::Item::Enum(item) => (item.enum_token.span, "an enum"),
        syn::Item::Union(item) => (item.union_token.span, "a union"),
        syn::Item::Trait(item) => (item.trait_token.span, "a trait"),
        syn::Item::Impl(item) => (item.impl_token.span, "an impl block"),
        syn::Item::Mod(item) => (item.mod_token.span, "a module"),
        syn::Item::Const(item) => (item.const_token.span, "a const"),
        syn::Item::Static(item) => (item.static_token.span, "a static"),
        syn::Item::Type(item) => (item.type_token.span, "a type alias"),
        syn::Item::Fn(item) => (item.sig.fn_token.span, "a function"),
        other => (SpanRange::of(other).start, "something else"),
    }
}

/// Says that the item can't carry `#[table]`.
pub fn wrong_item(item: &syn::Item) -> Diagnostic {
    let (span, found) = describe(item);
    Diagnostic::new(
        Code::WrongItem,
        span,
        format!("a table is a struct or a function, found {found}"),
    )
    .help("write `pub struct Name;`, `pub struct Name { ... }` or `pub async fn name(...)`")
}

/// Reads one item. The declaration is usable only when nothing of severity error was found.
/// `attribute` is where the attribute stands, for findings about what is missing in it.
pub fn table(
    tokens: TokenStream,
    attribute: SpanRange,
    item: Item<'_>,
) -> (TableDeclaration, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let (ident, attributes) = match item {
        Item::Struct(item) => (&item.ident, &item.attrs),
        Item::Function(item) => (&item.sig.ident, &item.attrs),
    };
    let docs = documentation(attributes, &mut diagnostics);
    let mut keys = Keys::default();
    keys.read(tokens, &mut diagnostics);

    let mut columns = Vec::new();
    let mut function_arguments = Vec::new();
    let mut inputs = keys.inputs.clone();
    match item {
        Item::Struct(item) => {
            refuse_generics(&item.generics, &mut diagnostics);
            columns = fields(&item.fields, &item.generics, &mut diagnostics);
        }
        Item::Function(item) => {
            function_arguments = function::arguments(&item.sig, &mut diagnostics);
            inputs.extend(function::inputs(item));
        }
    }
    refuse_secret_names(&keys, &inputs, attribute, &mut diagnostics);
    let is_function = matches!(item, Item::Function(_));
    let partitioned = !keys.partition_by.is_empty();
    let store = keys.source.store.clone();
    let ingest = keys.source.ingest;
    let source = keys
        .source
        .finish(is_function, partitioned, attribute, &mut diagnostics);
    if let Some(source) = &source {
        check_types(source, &columns, item, &mut diagnostics);
        check_ingest(source, ingest, item, &mut diagnostics);
        inputs.extend(check_sql(source, &columns, keys.sql_span, &mut diagnostics));
    }
    inputs.sort();
    inputs.dedup();

    let name = table_name(keys.name.as_ref(), ident, &mut diagnostics);
    let partition_by = partitions(&keys.partition_by, &columns, &mut diagnostics);
    for (key, names) in [("sort_by", &keys.sort_by), ("unique_by", &keys.unique_by)] {
        for (name, span) in names {
            check_column(key, name, *span, &columns, &partition_by, &mut diagnostics);
        }
    }
    let just_names =
        |names: Vec<(String, SpanRange)>| names.into_iter().map(|(name, _)| name).collect();
    let mut tags = keys.tags;
    tags.sort();
    let mut table = Table {
        name,
        docs: docs.docs,
        source: source.unwrap_or(Source::Function {
            arguments: function_arguments,
        }),
        store,
        columns: Vec::new(),
        partition_by,
        sort_by: just_names(keys.sort_by),
        unique_by: just_names(keys.unique_by),
        owner: keys.owner,
        tags,
        freshness: keys.freshness,
        ingest: ingest.is_some(),
        inputs: Vec::new(),
        notebooks: keys.notebooks,
        example: Vec::new(),
        deprecated: docs.deprecated,
        aliases: docs.aliases,
        hidden: docs.hidden,
        cfg: None,
        rust_path: String::new(),
        location: neurolake_model::Location::default(),
    };
    table.example = example(&keys.example, &table, &columns, &mut diagnostics);
    let declaration = TableDeclaration {
        item: ident.unraw().to_string(),
        database: keys.database,
        columns,
        rows: keys.rows,
        inputs,
        table,
    };
    (declaration, diagnostics)
}

/// The arguments of `#[table(...)]`, one field per key.
#[derive(Default)]
struct Keys {
    source: SourceKeys,
    sql_span: Option<SpanRange>,
    partition_by: Vec<(String, SpanRange, Option<TokenStream>)>,
    sort_by: Vec<(String, SpanRange)>,
    unique_by: Vec<(String, SpanRange)>,
    owner: Option<String>,
    freshness: Option<String>,
    tags: Vec<String>,
    inputs: Vec<String>,
    notebooks: Vec<Notebook>,
    example: Vec<(String, SpanRange, TokenStream)>,
    name: Option<(String, SpanRange)>,
    database: Option<String>,
    rows: Option<String>,
}

impl Keys {
    fn read(&mut self, tokens: TokenStream, diagnostics: &mut Diagnostics) {
        let mut seen: Vec<String> = Vec::new();
        let arguments = arguments::parse(tokens, diagnostics);
        // One that can't be read may well be the source.
        self.source.is_uncertain = !diagnostics.is_empty();
        for argument in arguments {
            if seen.contains(&argument.key) && argument.key != "notebook" {
                diagnostics.push(duplicate_key(&argument));
                continue;
            }
            seen.push(argument.key.clone());
            if argument.key == "sql"
                && let ArgumentValue::Literal(spanned) = &argument.value
            {
                self.sql_span = Some(spanned.span);
            }
            if !self.source.take(&argument, diagnostics) {
                self.take(&argument, diagnostics);
            }
        }
    }

    fn take(&mut self, argument: &Argument, diagnostics: &mut Diagnostics) {
        match argument.key.as_str() {
            "partition_by" => self.partition_by = partition_list(argument, diagnostics),
            "sort_by" => self.sort_by = name_list(argument, "sort_by(ts)", diagnostics),
            "unique_by" => self.unique_by = name_list(argument, "unique_by(id)", diagnostics),
            "owner" => self.owner = argument.string(diagnostics).map(|(text, _)| text),
            "freshness" => self.freshness = duration(argument, diagnostics),
            "tags" => {
                let tags = string_list(argument, "tags(\"neural\", \"phi\")", diagnostics);
                self.tags = unique(argument, tags, diagnostics);
            }
            "inputs" => self.inputs = input_list(argument, diagnostics),
            "notebook" => self.notebooks.extend(notebook(argument, diagnostics)),
            "example" => self.example = example_list(argument, diagnostics),
            "name" => self.name = argument.string(diagnostics),
            "database" => {
                self.database = argument.string(diagnostics).and_then(|(name, span)| {
                    if names::is_reserved_database_name(&name) {
                        diagnostics.push(reserved_name(&name, span, "database"));
                    } else if names::is_valid_table_name(&name) {
                        return Some(name);
                    } else {
                        diagnostics.push(invalid_name(&name, span, "database"));
                    }
                    None
                });
            }
            "rows" => match &argument.value {
                ArgumentValue::Literal(spanned) => match &spanned.literal {
                    Lit::Word(path) => self.rows = Some(path.clone()),
                    other => diagnostics.push(
                        Diagnostic::new(
                            Code::WrongKind,
                            spanned.span,
                            format!("expected `rows = StructName`, found {}", other.describe()),
                        )
                        .help("name a struct with `#[derive(Columns)]` that is in scope here"),
                    ),
                },
                _ => diagnostics.push(
                    Diagnostic::new(
                        Code::WrongKind,
                        argument.key_span,
                        "expected `rows = StructName`",
                    )
                    .help("name a struct with `#[derive(Columns)]` that is in scope here"),
                ),
            },
            unknown => {
                self.source.is_uncertain = true;
                diagnostics.push(
                    Diagnostic::new(
                        Code::UnknownKey,
                        argument.key_span,
                        format!("unknown key `{unknown}` in `#[table(...)]`"),
                    )
                    .expected_one_of(unknown, SourceKeys::keys().chain(KEYS.iter().copied())),
                );
            }
        }
    }
}

/// Names may stand in quotes too, where they can hold anything.
fn refuse_secret_names(
    keys: &Keys,
    inputs: &[String],
    attribute: SpanRange,
    diagnostics: &mut Diagnostics,
) {
    let partitions = keys
        .partition_by
        .iter()
        .map(|(name, span, _)| (name, *span));
    let columns = keys.sort_by.iter().chain(&keys.unique_by);
    let columns = columns.map(|(name, span)| (name, *span));
    let examples = keys.example.iter().map(|(name, span, _)| (name, *span));
    let inputs = inputs.iter().map(|name| (name, attribute));
    for (name, span) in partitions.chain(columns).chain(examples).chain(inputs) {
        if let Some(secret) = crate::secret::find(name) {
            diagnostics.push(arguments::secret_found("a name", span, secret));
        }
    }
}

/// The tokens inside `#[name(...)]`.
pub(crate) fn list_tokens(
    attribute: &Attribute,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Option<TokenStream> {
    if let Meta::List(list) = &attribute.meta {
        return Some(list.tokens.clone());
    }
    diagnostics.push(Diagnostic::new(
        Code::Arguments,
        SpanRange::of(&attribute.meta),
        format!("expected `#[{name}(...)]`"),
    ));
    None
}

pub(crate) fn duplicate_key(argument: &Argument) -> Diagnostic {
    Diagnostic::new(
        Code::DuplicateKey,
        argument.key_span,
        format!("`{}` is given twice", argument.key),
    )
    .help("keep one")
}

fn invalid_name(name: &str, span: SpanRange, what: &str) -> Diagnostic {
    Diagnostic::new(
        Code::Name,
        span,
        format!("`{name}` can't be the name of a {what}"),
    )
    .help("names have lower-case ASCII letters, digits and `_`, and start with a letter: they stand in SQL, in addresses and in file names")
}

fn reserved_name(name: &str, span: SpanRange, what: &str) -> Diagnostic {
    Diagnostic::new(
        Code::Name,
        span,
        format!("`{name}` can't be the name of a {what}: the site or SQL needs it for itself"),
    )
    .help("choose another name")
}

fn table_name(
    name: Option<&(String, SpanRange)>,
    ident: &syn::Ident,
    diagnostics: &mut Diagnostics,
) -> String {
    let (name, span, from_item) = match name {
        Some((name, span)) => (name.clone(), *span, false),
        None => (
            names::table_name(&ident.to_string()),
            ident.span().into(),
            true,
        ),
    };
    // A table page stands beside its database's `index.html`.
    let wrong = if name == "index" {
        Some(reserved_name(&name, span, "table"))
    } else if names::is_valid_table_name(&name) {
        None
    } else {
        Some(invalid_name(&name, span, "table"))
    };
    if let Some(diagnostic) = wrong {
        diagnostics.push(if from_item {
            diagnostic.help("the item may keep its name: `#[table(name = \"...\", ...)]`")
        } else {
            diagnostic
        });
    }
    name
}

fn name_of(tokens: &TokenStream) -> Option<String> {
    let mut trees = tokens.clone().into_iter();
    let name = match trees.next()? {
        TokenTree::Ident(ident) => ident.unraw().to_string(),
        TokenTree::Literal(literal) => match syn::Lit::new(literal) {
            syn::Lit::Str(text) => text.value(),
            _ => return None,
        },
        _ => return None,
    };
    trees.next().is_none().then_some(name)
}

fn name_list(
    argument: &Argument,
    shape: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, SpanRange)> {
    let Some(elements) = argument.list(shape, diagnostics) else {
        return Vec::new();
    };
    let mut names: Vec<(String, SpanRange)> = Vec::new();
    for element in elements {
        let span = SpanRange::of_stream(element.clone());
        match name_of(element) {
            Some(name) if names.iter().any(|(other, _)| *other == name) => {
                diagnostics.push(twice(argument, &name, span));
            }
            Some(name) => names.push((name, span)),
            None => diagnostics.push(
                Diagnostic::new(Code::WrongKind, span, "expected the name of a column")
                    .help(format!("write `{shape}`")),
            ),
        }
    }
    names
}

fn twice(argument: &Argument, name: &str, span: SpanRange) -> Diagnostic {
    Diagnostic::new(
        Code::Duplicate,
        span,
        format!("`{name}` stands twice in `{}`", argument.key),
    )
    .help("keep one")
}

fn partition_list(
    argument: &Argument,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, SpanRange, Option<TokenStream>)> {
    let shape = "partition_by(implant_id: i32, day: Date)";
    let Some(elements) = argument.list(shape, diagnostics) else {
        return Vec::new();
    };
    let mut partitions: Vec<(String, SpanRange, Option<TokenStream>)> = Vec::new();
    for element in elements {
        let whole = SpanRange::of_stream(element.clone());
        let mut trees = element.clone().into_iter();
        let first: TokenStream = trees.next().into_iter().collect();
        let colon = trees.next();
        let data_type: TokenStream = trees.collect();
        let typed = match &colon {
            None => Some(None),
            Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && !data_type.is_empty() => {
                Some(Some(data_type))
            }
            Some(_) => None,
        };
        match (name_of(&first), typed) {
            (Some(name), _) if partitions.iter().any(|(other, ..)| *other == name) => {
                diagnostics.push(twice(argument, &name, whole));
            }
            (Some(name), Some(data_type)) => {
                partitions.push((name, SpanRange::of_stream(first), data_type));
            }
            _ => diagnostics.push(
                Diagnostic::new(
                    Code::WrongKind,
                    whole,
                    "expected a partition column, with or without its type",
                )
                .help(format!("write `{shape}`")),
            ),
        }
    }
    partitions
}

fn string_list(
    argument: &Argument,
    shape: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, SpanRange)> {
    let Some(elements) = argument.list(shape, diagnostics) else {
        return Vec::new();
    };
    let mut strings = Vec::new();
    for element in elements {
        match arguments::parse_literal(element) {
            Ok(spanned) => match spanned.literal {
                Lit::String(text) => {
                    if let Some(secret) = crate::secret::find(&text) {
                        diagnostics.push(arguments::secret_found(
                            &format!("`{}`", argument.key),
                            spanned.span,
                            secret,
                        ));
                    } else {
                        strings.push((text, spanned.span));
                    }
                }
                other => diagnostics.push(
                    Diagnostic::new(
                        Code::WrongKind,
                        spanned.span,
                        format!("expected text in quotes, found {}", other.describe()),
                    )
                    .help(format!("write `{shape}`")),
                ),
            },
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    strings
}

fn unique(
    argument: &Argument,
    strings: Vec<(String, SpanRange)>,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for (text, span) in strings {
        if kept.contains(&text) {
            diagnostics.push(twice(argument, &text, span));
        } else {
            kept.push(text);
        }
    }
    kept
}

fn input_list(argument: &Argument, diagnostics: &mut Diagnostics) -> Vec<String> {
    let shape = "inputs(Spikes, crate::imaging::Scans)";
    let Some(elements) = argument.list(shape, diagnostics) else {
        return Vec::new();
    };
    let mut inputs = Vec::new();
    for element in elements {
        let path: Result<syn::Path, _> = syn::parse2(element.clone());
        match path {
            Ok(path) => inputs.push(
                quote::ToTokens::to_token_stream(&path)
                    .to_string()
                    .replace(' ', ""),
            ),
            Err(_) => match name_of(element) {
                Some(name) if name.split('.').count() == 2 => inputs.push(name),
                _ => diagnostics.push(
                    Diagnostic::new(
                        Code::WrongKind,
                        SpanRange::of_stream(element.clone()),
                        "expected the path of a table's item, or `\"database.table\"`",
                    )
                    .help(format!("write `{shape}`")),
                ),
            },
        }
    }
    inputs
}

fn notebook(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<Notebook> {
    let shape = "notebook(\"Title\", \"https://...\")";
    let strings = string_list(argument, shape, diagnostics);
    let [(title, _), (url, span)] = strings.as_slice() else {
        diagnostics.push(
            Diagnostic::new(
                Code::WrongKind,
                argument.key_span,
                "a notebook has a title and an address",
            )
            .help(format!("write `{shape}`")),
        );
        return None;
    };
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let relative = scheme.is_none() && !url.starts_with('/') && !url.contains("..");
    if !relative && !matches!(scheme, Some("http" | "https")) {
        diagnostics.push(
            Diagnostic::new(
                Code::NotebookAddress,
                *span,
                format!("`{url}` is no address of a notebook"),
            )
            .help("use an `https://` address, or a path from the root of the repository"),
        );
        return None;
    }
    Some(Notebook {
        title: title.clone(),
        url: url.clone(),
    })
}

fn example_list(
    argument: &Argument,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, SpanRange, TokenStream)> {
    let shape = "example(implant_id = 7, day = \"2026-03-01\")";
    let Some(elements) = argument.list(shape, diagnostics) else {
        return Vec::new();
    };
    let mut example: Vec<(String, SpanRange, TokenStream)> = Vec::new();
    for element in elements {
        let whole = SpanRange::of_stream(element.clone());
        let mut trees = element.clone().into_iter();
        let first: TokenStream = trees.next().into_iter().collect();
        let equals = trees.next();
        let value: TokenStream = trees.collect();
        let is_equals = matches!(&equals, Some(TokenTree::Punct(p)) if p.as_char() == '=');
        match name_of(&first) {
            Some(name) if is_equals && !value.is_empty() => {
                if example.iter().any(|(other, ..)| *other == name) {
                    diagnostics.push(twice(argument, &name, whole));
                } else {
                    example.push((name, SpanRange::of_stream(first), value));
                }
            }
            _ => diagnostics.push(
                Diagnostic::new(Code::WrongKind, whole, "expected `column = value`")
                    .help(format!("write `{shape}`")),
            ),
        }
    }
    example
}

fn partitions(
    declared: &[(String, SpanRange, Option<TokenStream>)],
    columns: &[ColumnDeclaration],
    diagnostics: &mut Diagnostics,
) -> Vec<Partition> {
    let mut partitions = Vec::new();
    for (name, span, data_type) in declared {
        let given = data_type.clone().and_then(|tokens| {
            let type_span = SpanRange::of_stream(tokens.clone());
            if let Ok(syntax) = syn::parse2::<syn::Type>(tokens) {
                Some((column_type(&syntax, diagnostics).0, type_span))
            } else {
                diagnostics.push(
                    Diagnostic::new(Code::ColumnType, type_span, "expected a type")
                        .help("as in `partition_by(implant_id: i32, day: Date)`"),
                );
                None
            }
        });
        let column = columns.iter().find(|column| column.name == *name);
        if column.is_none() && !columns.is_empty() {
            unknown_column("partition_by", name, *span, columns, diagnostics);
        }
        if let (Some((given, type_span)), Some(column)) = (&given, column)
            && *given != column.data_type
        {
            diagnostics.push(
                Diagnostic::new(
                    Code::PartitionType,
                    *type_span,
                    format!("`{name}` has another type in the struct"),
                )
                .help("leave the type out here: the field says it"),
            );
        }
        let data_type = given
            .map(|(given, _)| given)
            .or_else(|| column.map(|column| column.data_type.clone()));
        let data_type = match data_type {
            None => None,
            Some(TypeRef::Known(known))
                if known.is_scalar()
                    && !matches!(known, Type::Float32 | Type::Float64 | Type::Binary) =>
            {
                Some(known)
            }
            Some(_) => {
                diagnostics.push(
                    Diagnostic::new(
                        Code::PartitionType,
                        *span,
                        format!("`{name}` can't be a partition column"),
                    )
                    .help("values of a partition stand in paths: use text, integers, `bool`, `Date`, `Timestamp` or `Decimal`"),
                );
                None
            }
        };
        partitions.push(Partition {
            name: name.clone(),
            data_type,
        });
    }
    if !columns.is_empty()
        && columns.len() == partitions.len()
        && let Some((_, span, _)) = declared.first()
    {
        diagnostics.push(
            Diagnostic::new(
                Code::OnlyPartitions,
                *span,
                "every column is a partition column, so files would be empty",
            )
            .help("partition by fewer columns"),
        );
    }
    partitions
}

fn check_column(
    key: &str,
    name: &str,
    span: SpanRange,
    columns: &[ColumnDeclaration],
    partitions: &[Partition],
    diagnostics: &mut Diagnostics,
) {
    let is_column = columns.iter().any(|column| column.name == name);
    let is_partition = partitions.iter().any(|partition| partition.name == name);
    if !columns.is_empty() && !is_column {
        unknown_column(key, name, span, columns, diagnostics);
    } else if key == "sort_by" && is_partition {
        diagnostics.push(
            Diagnostic::new(
                Code::SortByPartition,
                span,
                format!("`{name}` is a partition column, it is the same in a whole file"),
            )
            .help("remove it from `sort_by`"),
        );
    }
}

fn unknown_column(
    key: &str,
    name: &str,
    span: SpanRange,
    columns: &[ColumnDeclaration],
    diagnostics: &mut Diagnostics,
) {
    diagnostics.push(
        Diagnostic::new(
            Code::UnknownColumn,
            span,
            format!("`{key}` names `{name}`, which is no column of this table"),
        )
        .expected_one_of(name, columns.iter().map(|column| column.name.as_str())),
    );
}

/// Types that the source can't store.
fn check_types(
    source: &Source,
    columns: &[ColumnDeclaration],
    item: Item<'_>,
    diagnostics: &mut Diagnostics,
) {
    if !matches!(source, Source::Delta { .. }) {
        return;
    }
    let Item::Struct(item) = item else { return };
    for (column, field) in columns.iter().zip(&item.fields) {
        if let TypeRef::Known(known) = &column.data_type
            && let Some((unsigned, signed)) = unsigned(known)
        {
            diagnostics.push(
                Diagnostic::new(
                    Code::UnsignedInDelta,
                    SpanRange::of(&field.ty),
                    format!(
                        "column `{}` is unsigned, Delta tables have no `{unsigned}`",
                        column.name
                    ),
                )
                .help(format!("write `{signed}` in place of `{unsigned}`")),
            );
        }
    }
}

/// Every event is checked against the declared columns.
fn check_ingest(
    source: &Source,
    ingest: Option<Span>,
    item: Item<'_>,
    diagnostics: &mut Diagnostics,
) {
    let Some(span) = ingest.filter(|_| matches!(source, Source::Delta { .. })) else {
        return;
    };
    if let Item::Struct(item) = item
        && matches!(item.fields, Fields::Unit)
    {
        diagnostics.push(
            Diagnostic::new(
                Code::IngestWithoutColumns,
                span,
                "a table that takes events needs declared columns",
            )
            .help(format!(
                "write the struct with its fields: `pub struct {} {{ ... }}`",
                item.ident
            )),
        );
    }
}

fn unsigned(data_type: &Type) -> Option<(&'static str, &'static str)> {
    match data_type {
        Type::UInt8 => Some(("u8", "i16")),
        Type::UInt16 => Some(("u16", "i32")),
        Type::UInt32 => Some(("u32", "i64")),
        Type::UInt64 => Some(("u64", "Decimal<20, 0>")),
        Type::List { item, .. } => unsigned(item),
        Type::Map { key, value, .. } => unsigned(key).or_else(|| unsigned(value)),
        _ => None,
    }
}

/// Checks a view's statement and gives what it reads.
fn check_sql(
    source: &Source,
    columns: &[ColumnDeclaration],
    span: Option<SpanRange>,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let Source::Sql { query } = source else {
        return Vec::new();
    };
    let span = span.unwrap_or_else(|| Span::call_site().into());
    let view = match sql::view(query) {
        Ok(view) => view,
        Err(SqlError::Syntax(message)) => {
            let message = message.replace("sql parser error: ", "");
            diagnostics.push(
                Diagnostic::new(
                    Code::SqlSyntax,
                    span,
                    format!("the statement is no SQL: {message}"),
                )
                .help("line and column are counted inside the statement"),
            );
            return Vec::new();
        }
        Err(SqlError::NotAQuery(found)) => {
            let help = match found.as_str() {
                "nothing" => "write what the view selects, or remove the table",
                verb if verb.starts_with('`') => {
                    "tables are read-only: a view can't change anything"
                }
                _ => "declare one table for each statement",
            };
            diagnostics.push(
                Diagnostic::new(
                    Code::SqlNotAQuery,
                    span,
                    format!("a view is one `select`, found {found}"),
                )
                .help(help),
            );
            return Vec::new();
        }
        Err(SqlError::Unqualified(name)) => {
            diagnostics.push(
                Diagnostic::new(
                    Code::SqlUnqualified,
                    span,
                    format!("the statement reads `{name}` without naming its database"),
                )
                .help(format!("write `database.{name}`")),
            );
            return Vec::new();
        }
    };
    if let Some(output) = &view.columns
        && !columns.is_empty()
    {
        let declared: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        if *output != declared {
            let difference = declared
                .iter()
                .zip(output)
                .position(|(declared, output)| declared != output);
            let message = match difference {
                Some(at) => format!(
                    "column {} is `{}` in the struct and `{}` in the statement",
                    at + 1,
                    declared[at],
                    output[at]
                ),
                None => format!(
                    "the struct has {} columns, the statement {}",
                    declared.len(),
                    output.len()
                ),
            };
            diagnostics.push(
                Diagnostic::new(Code::SqlColumns, span, message)
                    .help("name the columns in the order of the struct, with `as` where needed"),
            );
        }
    }
    view.inputs.iter().map(ToString::to_string).collect()
}

/// Checks example values against the types of columns, partitions and arguments.
fn example(
    declared: &[(String, SpanRange, TokenStream)],
    table: &Table,
    columns: &[ColumnDeclaration],
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Value)> {
    let arguments = match &table.source {
        Source::Function { arguments } => arguments.as_slice(),
        _ => &[],
    };
    let is_function = matches!(&table.source, Source::Function { .. });
    let mut example = Vec::new();
    for (name, span, tokens) in declared {
        let spanned = match arguments::parse_literal(tokens) {
            Ok(spanned) => spanned,
            Err(diagnostic) => {
                diagnostics.push(*diagnostic);
                continue;
            }
        };
        if let Some(secret) = spanned.literal.secret() {
            diagnostics.push(arguments::secret_found("`example`", spanned.span, secret));
            continue;
        }
        let column = columns.iter().find(|column| column.name == *name);
        let data_type = match column.map(|column| &column.data_type) {
            Some(TypeRef::Known(known)) => Some(known.clone()),
            Some(_) => Some(Type::Struct { fields: Vec::new() }),
            None => table.filter_type(name).cloned(),
        };
        let open_schema = columns.is_empty() && !is_function;
        if data_type.is_none() && !open_schema {
            let valid = columns
                .iter()
                .map(|column| column.name.as_str())
                .chain(arguments.iter().map(|argument| argument.name.as_str()));
            let what = if is_function { "argument" } else { "column" };
            diagnostics.push(
                Diagnostic::new(
                    Code::UnknownColumn,
                    *span,
                    format!("`example` names `{name}`, which is no {what} of this table"),
                )
                .expected_one_of(name, valid.collect::<Vec<_>>()),
            );
            continue;
        }
        match literal::value(name, &spanned, data_type.as_ref()) {
            Ok(value) => example.push((name.clone(), value)),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    example
}
