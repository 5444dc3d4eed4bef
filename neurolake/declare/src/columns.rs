//! Fields and their types.

use neurolake_model::declaration::{ColumnDeclaration, ColumnsDeclaration, TypeRef};
use neurolake_model::{Column, Type};
use syn::ext::IdentExt;
use syn::{
    Fields, GenericArgument, Generics, ItemStruct, PathArguments, PathSegment, Type as Syntax,
};

use crate::arguments;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, SpanRange};
use crate::documentation::documentation;
use crate::tokens;

const COLUMN_KEYS: &[&str] = &["unit", "pii", "since", "renamed_from", "name"];

/// Reads a struct that derives `Columns`.
pub fn columns(item: &ItemStruct) -> (ColumnsDeclaration, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    refuse_generics(&item.generics, &mut diagnostics);
    if matches!(item.fields, Fields::Unit) {
        diagnostics.push(
            Diagnostic::new(
                Code::NoColumns,
                item.ident.span(),
                format!("`{}` has no columns", item.ident),
            )
            .help("give it named fields"),
        );
    }
    let declaration = ColumnsDeclaration {
        item: item.ident.unraw().to_string(),
        columns: fields(&item.fields, &item.generics, &mut diagnostics),
    };
    (declaration, diagnostics)
}

/// Says that the item can't derive `Columns`.
pub fn columns_wrong_item(item: &syn::Item) -> Diagnostic {
    let (span, found) = crate::table::describe(item);
    Diagnostic::new(
        Code::WrongItem,
        span,
        format!("`Columns` can be derived for a struct with named fields, found {found}"),
    )
    .help("write `pub struct Name { column: Type, ... }`")
}

/// Generic items have no single schema.
pub(crate) fn refuse_generics(generics: &Generics, diagnostics: &mut Diagnostics) {
    if !generics.params.is_empty() {
        diagnostics.push(
            Diagnostic::new(
                Code::Generics,
                SpanRange::of(&generics.params),
                "a table can't be generic: it has one schema",
            )
            .help("use concrete types"),
        );
    }
}

/// Reads named fields as columns.
pub(crate) fn fields(
    fields: &Fields,
    generics: &Generics,
    diagnostics: &mut Diagnostics,
) -> Vec<ColumnDeclaration> {
    let named = match fields {
        Fields::Named(named) => named,
        Fields::Unit => return Vec::new(),
        Fields::Unnamed(unnamed) => {
            diagnostics.push(
                Diagnostic::new(
                    Code::TupleStruct,
                    unnamed.paren_token.span.join(),
                    "columns need names, found a tuple struct",
                )
                .help("write `struct Name { column: Type, ... }`"),
            );
            return Vec::new();
        }
    };
    if named.named.is_empty() {
        diagnostics.push(
            Diagnostic::new(
                Code::NoColumns,
                named.brace_token.span.join(),
                "a schema struct needs at least one column",
            )
            .help("write `struct Name;` to read the schema from the source at run time"),
        );
    }
    let mut columns: Vec<ColumnDeclaration> = Vec::with_capacity(named.named.len());
    for field in &named.named {
        let Some(mut column) = column(field, diagnostics) else {
            continue;
        };
        // The parameter itself was refused; nobody needs to hear that no struct has its name.
        if column
            .data_type
            .names()
            .is_some_and(|name| generics.type_params().any(|param| param.ident == name))
        {
            column.data_type = TypeRef::Known(Type::String);
        }
        let same = |other: &ColumnDeclaration| other.name.eq_ignore_ascii_case(&column.name);
        if let Some(other) = columns.iter().find(|other| same(other)) {
            diagnostics.push(
                Diagnostic::new(
                    Code::DuplicateColumn,
                    field_span(field),
                    format!("column `{}` is declared twice", column.name),
                )
                .help(format!(
                    "the other one is `{}`; names of columns are compared without case",
                    other.name
                )),
            );
        }
        columns.push(column);
    }
    columns
}

fn field_span(field: &syn::Field) -> SpanRange {
    match &field.ident {
        Some(ident) => ident.span().into(),
        None => SpanRange::of(&field.ty),
    }
}

fn column(field: &syn::Field, diagnostics: &mut Diagnostics) -> Option<ColumnDeclaration> {
    let ident = field.ident.as_ref()?;
    let docs = documentation(&field.attrs, diagnostics);
    if docs.hidden {
        diagnostics.push(
            Diagnostic::new(
                Code::HiddenColumn,
                ident.span(),
                format!("column `{ident}` can't be hidden: it is part of the schema"),
            )
            .help("hide the whole table, or remove `#[doc(hidden)]`"),
        );
    }
    let (data_type, nullable) = column_type(&field.ty, diagnostics);
    let mut column = Column {
        name: ident.unraw().to_string(),
        data_type,
        nullable,
        docs: docs.docs,
        unit: None,
        pii: false,
        since: None,
        renamed_from: None,
        deprecated: docs.deprecated,
        aliases: docs.aliases,
    };
    for attribute in &field.attrs {
        if depends_on_build(attribute) {
            diagnostics.push(
                Diagnostic::new(
                    Code::CfgColumn,
                    SpanRange::of(attribute),
                    format!("column `{ident}` depends on the build"),
                )
                .help("a table has one schema: make the column an `Option` instead"),
            );
        }
        if attribute.path().is_ident("column") {
            column_attribute(attribute, &mut column, diagnostics);
        }
    }
    Some(column)
}

/// `#[cfg_attr]` only matters where it brings something that the catalog shows.
fn depends_on_build(attribute: &syn::Attribute) -> bool {
    match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg_attr") => {
            tokens::mentions(&list.tokens, &["cfg", "column", "deprecated", "doc"])
        }
        meta => meta.path().is_ident("cfg"),
    }
}

fn column_attribute(
    attribute: &syn::Attribute,
    column: &mut ColumnDeclaration,
    diagnostics: &mut Diagnostics,
) {
    let Some(tokens) = crate::table::list_tokens(attribute, "column", diagnostics) else {
        return;
    };
    let mut seen: Vec<String> = Vec::new();
    for argument in arguments::parse(tokens, diagnostics) {
        if seen.contains(&argument.key) {
            diagnostics.push(crate::table::duplicate_key(&argument));
            continue;
        }
        seen.push(argument.key.clone());
        match argument.key.as_str() {
            "unit" => column.unit = argument.string(diagnostics).map(|(text, _)| text),
            "pii" => {
                argument.flag("write `#[column(pii)]`", diagnostics);
                column.pii = true;
            }
            "since" => column.since = argument.positive(diagnostics),
            "renamed_from" => {
                column.renamed_from = argument.string(diagnostics).map(|(text, _)| text);
            }
            "name" => {
                if let Some((name, _)) = argument.string(diagnostics) {
                    column.name = name;
                }
            }
            unknown => diagnostics.push(
                Diagnostic::new(
                    Code::UnknownKey,
                    argument.key_span,
                    format!("unknown key `{unknown}` in `#[column(...)]`"),
                )
                .expected_one_of(unknown, COLUMN_KEYS.iter().copied()),
            ),
        }
    }
}

/// The type of a column and whether it may be null. A type that can't be read is reported and
/// stands as `string`, so that the other mistakes in the item are still found.
pub(crate) fn column_type(syntax: &Syntax, diagnostics: &mut Diagnostics) -> (TypeRef, bool) {
    match read_type(syntax) {
        Ok((data_type, nullable)) if depth(&data_type) <= MAX_DEPTH => (data_type, nullable),
        Ok(_) => {
            diagnostics.push(
                Diagnostic::new(
                    Code::ColumnType,
                    SpanRange::of(syntax),
                    format!("the type is nested more than {MAX_DEPTH} levels deep"),
                )
                .help("declare a struct with `#[derive(Columns)]` for a part of it"),
            );
            (TypeRef::Known(Type::String), true)
        }
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            (TypeRef::Known(Type::String), true)
        }
    }
}

/// A reader of JSON gives up at 128 levels, and a list is two of them.
const MAX_DEPTH: usize = 32;

fn depth(data_type: &TypeRef) -> usize {
    fn known(data_type: &Type) -> usize {
        match data_type {
            Type::List { item, .. } | Type::Map { value: item, .. } => 1 + known(item),
            _ => 1,
        }
    }
    match data_type {
        TypeRef::Known(data_type) => known(data_type),
        TypeRef::Named(_) => 1,
        TypeRef::List { item, .. } | TypeRef::Map { value: item, .. } => 1 + depth(item),
    }
}

pub(crate) type ReadType = Result<(TypeRef, bool), Box<Diagnostic>>;

pub(crate) fn read_type(syntax: &Syntax) -> ReadType {
    match syntax {
        Syntax::Path(path) if path.qself.is_none() => {
            let segment = path
                .path
                .segments
                .last()
                .ok_or_else(|| Box::new(unsupported(syntax, "name a type")))?;
            read_path(syntax, segment)
        }
        // `$t:ty` of a macro arrives in an invisible group.
        Syntax::Group(group) => read_type(&group.elem),
        Syntax::Paren(paren) => read_type(&paren.elem),
        Syntax::Array(array) => Err(Box::new(unsupported(
            syntax,
            &format!(
                "lists have no fixed length: write `Vec<{}>`",
                text(&array.elem)
            ),
        ))),
        Syntax::Slice(slice) => Err(Box::new(unsupported(
            syntax,
            &format!("write `Vec<{}>`", text(&slice.elem)),
        ))),
        Syntax::Tuple(_) => Err(Box::new(unsupported(
            syntax,
            "declare a struct with `#[derive(Columns)]`",
        ))),
        Syntax::Reference(reference) => {
            let owned = match text(&reference.elem).as_str() {
                "str" => "String".to_owned(),
                other => other.to_owned(),
            };
            Err(Box::new(unsupported(syntax, &format!("write `{owned}`"))))
        }
        _ => Err(Box::new(unsupported(
            syntax,
            "use a scalar, `Option`, `Vec`, a map, or a struct with `#[derive(Columns)]`",
        ))),
    }
}

fn read_path(syntax: &Syntax, segment: &PathSegment) -> ReadType {
    let name = segment.ident.unraw().to_string();
    let plain = matches!(segment.arguments, PathArguments::None);
    let known = |data_type| Ok((TypeRef::Known(data_type), false));
    match name.as_str() {
        "bool" if plain => known(Type::Bool),
        "i8" if plain => known(Type::Int8),
        "i16" if plain => known(Type::Int16),
        "i32" if plain => known(Type::Int32),
        "i64" if plain => known(Type::Int64),
        "u8" if plain => known(Type::UInt8),
        "u16" if plain => known(Type::UInt16),
        "u32" if plain => known(Type::UInt32),
        "u64" if plain => known(Type::UInt64),
        "f32" if plain => known(Type::Float32),
        "f64" if plain => known(Type::Float64),
        "String" if plain => known(Type::String),
        "Date" if plain => known(Type::Date),
        "Timestamp" if plain => known(Type::Timestamp),
        "Blob" if plain => known(Type::Blob),
        "Decimal" => decimal(syntax, segment),
        "Option" => {
            let [inner] = type_arguments(syntax, segment, "Option<T>")?;
            let (inner_type, nullable) = read_type(inner)?;
            if nullable {
                return Err(Box::new(unsupported(
                    syntax,
                    &format!("one `Option` is enough: write `{}`", text(inner)),
                )));
            }
            Ok((inner_type, true))
        }
        "Vec" => {
            let [inner] = type_arguments(syntax, segment, "Vec<T>")?;
            let (item, nullable) = read_type(inner)?;
            if item == TypeRef::Known(Type::UInt8) && !nullable {
                return known(Type::Binary);
            }
            Ok((list(item, nullable), false))
        }
        "BTreeMap" | "HashMap" => {
            let [key, value] = type_arguments(syntax, segment, &format!("{name}<K, V>"))?;
            let (key_type, key_nullable) = read_type(key)?;
            let TypeRef::Known(key_type) = key_type else {
                return Err(Box::new(unsupported(key, "keys of a map are scalars")));
            };
            if key_nullable || !key_type.is_scalar() {
                return Err(Box::new(unsupported(
                    key,
                    "keys of a map are scalars and never null",
                )));
            }
            let (value, nullable) = read_type(value)?;
            Ok((map(key_type, value, nullable), false))
        }
        _ => match substitute(&name, segment) {
            Some(help) => Err(Box::new(unsupported(syntax, &help))),
            None if plain => Ok((TypeRef::Named(text(syntax)), false)),
            None => Err(Box::new(unsupported(
                syntax,
                "columns have concrete types: use a scalar, `Option`, `Vec`, a map, or a struct with `#[derive(Columns)]`",
            ))),
        },
    }
}

fn list(item: TypeRef, nullable: bool) -> TypeRef {
    match item {
        TypeRef::Known(item) => TypeRef::Known(Type::List {
            item: Box::new(item),
            nullable,
        }),
        item => TypeRef::List {
            item: Box::new(item),
            nullable,
        },
    }
}

fn map(key: Type, value: TypeRef, nullable: bool) -> TypeRef {
    match value {
        TypeRef::Known(value) => TypeRef::Known(Type::Map {
            key: Box::new(key),
            value: Box::new(value),
            nullable,
        }),
        value => TypeRef::Map {
            key,
            value: Box::new(value),
            nullable,
        },
    }
}

/// What to write instead of types that look like columns and aren't.
fn substitute(name: &str, segment: &PathSegment) -> Option<String> {
    let inner = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(inner_type),
        _ => None,
    };
    let inner = inner.map_or_else(|| "T".to_owned(), text);
    let help = match name {
        "usize" | "isize" => "its width depends on the machine: write `i64`",
        "u128" | "i128" => "no file format has it: write `Decimal<38, 0>`",
        "char" | "str" | "Cow" | "Uuid" => "write `String`",
        "NaiveDate" => "write `Date`",
        "DateTime" | "NaiveDateTime" | "SystemTime" | "OffsetDateTime" | "Instant" => {
            "write `Timestamp` (microseconds, UTC)"
        }
        "Duration" | "TimeDelta" => {
            "write a number and say the unit: `#[column(unit = \"ms\")] length_ms: i64`"
        }
        "Value" | "Json" => {
            "write `String` for text in JSON, or a struct with `#[derive(Columns)]`"
        }
        "Bytes" | "BytesMut" => "write `Vec<u8>`",
        "HashSet" | "BTreeSet" | "VecDeque" => return Some(format!("write `Vec<{inner}>`")),
        "Box" | "Rc" | "Arc" => return Some(format!("write `{inner}`")),
        _ => return None,
    };
    Some(help.to_owned())
}

fn inner_type(argument: &GenericArgument) -> Option<&Syntax> {
    match argument {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

fn decimal(syntax: &Syntax, segment: &PathSegment) -> ReadType {
    let digits: Option<Vec<u8>> = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments
            .args
            .iter()
            .map(|argument| match argument {
                GenericArgument::Const(syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Int(number),
                    ..
                })) => number.base10_parse().ok(),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    match digits.as_deref() {
        Some([precision, scale]) if (1..=38).contains(precision) && scale <= precision => Ok((
            TypeRef::Known(Type::Decimal {
                precision: *precision,
                scale: *scale,
            }),
            false,
        )),
        Some([_, _]) => Err(Box::new(
            Diagnostic::new(
                Code::Decimal,
                SpanRange::of(syntax),
                format!("`{}` is out of range", text(syntax)),
            )
            .help("a decimal has 1 to 38 digits, and no more behind the point than in all"),
        )),
        _ => Err(Box::new(
            Diagnostic::new(
                Code::Decimal,
                SpanRange::of(syntax),
                format!(
                    "expected `Decimal<P, S>` with two numbers, found `{}`",
                    text(syntax)
                ),
            )
            .help("P counts all digits, S those behind the point: `Decimal<10, 2>`"),
        )),
    }
}

fn type_arguments<'a, const N: usize>(
    syntax: &Syntax,
    segment: &'a PathSegment,
    shape: &str,
) -> Result<[&'a Syntax; N], Box<Diagnostic>> {
    let types: Vec<&Syntax> = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().filter_map(inner_type).collect()
        }
        _ => Vec::new(),
    };
    types
        .try_into()
        .map_err(|_| Box::new(unsupported(syntax, &format!("write `{shape}`"))))
}

fn unsupported(syntax: &Syntax, help: &str) -> Diagnostic {
    Diagnostic::new(
        Code::ColumnType,
        SpanRange::of(syntax),
        format!("`{}` can't be the type of a column", text(syntax)),
    )
    .help(help)
}

/// The type as a person writes it.
pub(crate) fn text(syntax: &Syntax) -> String {
    crate::tokens::text(quote::ToTokens::to_token_stream(syntax))
}
