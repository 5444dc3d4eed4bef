//! One source file: a pure function of its bytes, so that its result can be kept until they change.

use neurolake_declare::diagnostic::{Diagnostics, SpanRange};
use neurolake_declare::documentation::{Documentation, documentation};
use neurolake_declare::{self as declare, Code};
use neurolake_model::declaration::{ColumnDeclaration, ColumnsDeclaration, TableDeclaration};
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemEnum, ItemUnion, ItemUse, Meta, UseTree};

use super::cfg::Predicate;
use super::comments;
use super::finding::{LocalFinding, Range};
use super::nesting::{Nesting, nesting};

/// Source files over this size are refused: generated data doesn't belong into source, and a
/// parser that holds a hundred times the size in memory shouldn't meet it.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What a file declares.
#[derive(Debug, Default)]
pub struct FileScan {
    /// The file's own module.
    pub(crate) root: ModuleScan,
    pub(crate) findings: Vec<LocalFinding>,
    /// Whether the file parses; a preview keeps its last good scan otherwise.
    pub parsed: bool,
}

impl FileScan {
    /// What was found, as `CODE message`.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        let findings = self.findings.iter().map(|finding| &finding.diagnostic);
        findings.map(|finding| format!("{} {}", finding.code, finding.message))
    }
}

/// A module: a file's or an inline one.
#[derive(Debug, Default)]
pub(crate) struct ModuleScan {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) docs: String,
    /// Documentation that only a compiler can compute, such as `include_str!`. A matter for the
    /// modules that the catalog shows: others may do as they like.
    pub(crate) computed_docs: Vec<LocalFinding>,
    /// Position of the first doc line of `docs`.
    pub(crate) docs_at: Range,
    pub(crate) hidden: bool,
    pub(crate) cfgs: Vec<Predicate>,
    /// Value of `#[path]`.
    pub(crate) path: Option<String>,
    /// `mod name;`: the rest is in another file.
    pub(crate) is_external: bool,
    pub(crate) at: Range,
    pub(crate) modules: Vec<ModuleScan>,
    pub(crate) tables: Vec<TableScan>,
    pub(crate) columns: Vec<ColumnsScan>,
    pub(crate) uses: Vec<UseScan>,
    /// Paths of `use path::*`.
    pub(crate) globs: Vec<Vec<String>>,
    /// Names of other items, so that a link to one isn't called dangling.
    pub(crate) others: Vec<String>,
}

/// A `#[table]` item.
#[derive(Debug)]
pub(crate) struct TableScan {
    pub(crate) declaration: TableDeclaration,
    pub(crate) cfgs: Vec<Predicate>,
    pub(crate) places: ItemPlaces,
    /// Whether the declaration has errors of its own.
    pub(crate) is_broken: bool,
}

/// A `#[derive(Columns)]` struct.
#[derive(Debug)]
pub(crate) struct ColumnsScan {
    pub(crate) declaration: ColumnsDeclaration,
    pub(crate) places: ItemPlaces,
}

/// Where the parts of an item stand.
#[derive(Debug, Default)]
pub(crate) struct ItemPlaces {
    /// The item's name.
    pub(crate) name: Range,
    /// The attribute.
    pub(crate) attribute: Range,
    /// First doc line.
    pub(crate) docs: Range,
    /// Per column: its type and its first doc line.
    pub(crate) columns: Vec<(Range, Range)>,
    /// Fields whose column has another name: field, column.
    pub(crate) renamed: Vec<(String, String)>,
}

/// `use path as alias`
#[derive(Debug)]
pub(crate) struct UseScan {
    pub(crate) alias: String,
    pub(crate) path: Vec<String>,
}

/// Scans the bytes of a file.
pub fn scan(bytes: &[u8]) -> FileScan {
    let mut scan = FileScan::default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let line = good.split(|byte| *byte == b'\n').count();
            let line_start = good
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            let column = 1 + String::from_utf8_lossy(&good[line_start..]).chars().count();
            let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
            let range = Range {
                line: number(line),
                column: number(column),
                end_line: number(line),
                end_column: number(column),
            };
            scan.findings.push(
                LocalFinding::new(Code::NotUtf8, "the file is not UTF-8", range)
                    .help("save it as UTF-8"),
            );
            return scan;
        }
    };
    if !may_matter(text) {
        scan.parsed = true;
        return scan;
    }
    let stack_bytes = match nesting(text) {
        Nesting::Shallow => return parse(text),
        Nesting::Deep(stack_bytes) => Some(stack_bytes),
        Nesting::TooDeep => None,
    };
    let deep = stack_bytes.and_then(|stack_bytes| {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(stack_bytes);
            let thread = thread.spawn_scoped(scope, || parse(text));
            let scan = thread.ok()?.join();
            Some(scan.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    });
    deep.unwrap_or_else(|| {
        let message = "the file is nested too deeply to be read";
        scan.findings.push(
            LocalFinding::new(Code::TooLarge, message, Range::default())
                .help("generated data belongs into a table"),
        );
        scan
    })
}

fn parse(text: &str) -> FileScan {
    if let Some(rewritten) = comments::rewrite(text) {
        let scan = parse_rewritten(&rewritten.text, &rewritten.ends);
        // Messages speak of the source as it was written.
        if scan.parsed && scan.findings.is_empty() {
            return scan;
        }
    }
    parse_rewritten(text, &[])
}

/// Scans valid UTF-8. `comments`: see [`comments::Rewritten::ends`].
fn parse_rewritten(text: &str, comments: &[(u32, u32)]) -> FileScan {
    let mut scan = FileScan::default();
    match syn::parse_file(text) {
        Ok(file) => {
            scan.parsed = true;
            let mut scanner = Scanner {
                findings: &mut scan.findings,
                imports: Imports::of(&file.items),
                tables: 0,
                comments,
            };
            scan.root = scanner.module(&file.items);
            scanner.documentation(&file.attrs, &mut scan.root);
            scan.root.cfgs = cfgs(&file.attrs);
            let found = scanner.tables;
            if text.matches("table").count() > found {
                // Words in comments count too; only the odd file needs this second look.
                Misplaced {
                    scanner: &mut scanner,
                }
                .visit_file(&file);
            }
        }
        Err(error) => {
            let range = SpanRange::from(error.span()).into();
            // The lexer doesn't say what is wrong, only where it gave up.
            let problem = match error.to_string() {
                message if message.starts_with("cannot parse string") => {
                    "a bracket, quote or comment has no end, or a character doesn't belong here"
                        .into()
                }
                message => message,
            };
            scan.findings.push(LocalFinding::new(
                Code::Syntax,
                format!("the file is no valid Rust: {problem}"),
                range,
            ));
        }
    }
    // The source map behind the spans would otherwise keep every file of this thread in memory.
    proc_macro2::extra::invalidate_current_thread_spans();
    scan
}

/// Whether a file can declare anything or lead to a file that does; cheaper than parsing it.
fn may_matter(text: &str) -> bool {
    text.contains("table") || text.contains("mod ") || text.contains("Columns")
}

/// What `table` and `Columns` mean in a file.
struct Imports {
    /// Names that stand for `neurolake::table`.
    table: Vec<String>,
    /// `use something::else::table` makes a bare `#[table]` foreign.
    foreign: bool,
}

impl Imports {
    fn of(items: &[Item]) -> Self {
        let mut imports = Self {
            table: Vec::new(),
            foreign: false,
        };
        imports.collect(items);
        if !imports.foreign {
            imports.table.push("table".into());
        }
        imports
    }

    fn collect(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Use(item) => {
                    let mut uses = Vec::new();
                    let mut globs = Vec::new();
                    flatten(&item.tree, &mut Vec::new(), &mut uses, &mut globs);
                    for import in uses {
                        if import.path.last().is_some_and(|last| last == "table") {
                            if import.path[0] == "neurolake" {
                                self.table.push(import.alias);
                            } else if import.alias == "table" && !is_relative(&import.path[0]) {
                                self.foreign = true;
                            }
                        }
                    }
                }
                Item::Mod(item) => {
                    if let Some((_, items)) = &item.content {
                        self.collect(items);
                    }
                }
                _ => {}
            }
        }
    }

    fn is_table(&self, path: &syn::Path) -> bool {
        let mut segments = path.segments.iter().map(|segment| &segment.ident);
        match (segments.next(), segments.next(), segments.next()) {
            (Some(name), None, None) => self.table.iter().any(|known| name == known),
            (Some(first), Some(name), None) => first == "neurolake" && name == "table",
            (Some(first), Some(second), Some(name)) => {
                first == "neurolake" && second == "prelude" && name == "table"
            }
            _ => false,
        }
    }
}

/// A path inside this crate may well lead to a re-export of `neurolake::table`.
fn is_relative(first: &str) -> bool {
    matches!(first, "crate" | "self" | "super")
}

struct Scanner<'a> {
    findings: &'a mut Vec<LocalFinding>,
    imports: Imports,
    tables: usize,
    /// See [`comments::Rewritten::ends`].
    comments: &'a [(u32, u32)],
}

impl Scanner<'_> {
    fn module(&mut self, items: &[Item]) -> ModuleScan {
        let mut module = ModuleScan::default();
        for item in items {
            self.item(item, &mut module);
        }
        module
    }

    fn item(&mut self, item: &Item, module: &mut ModuleScan) {
        if let Some((attribute, extra)) = self.table_attribute(attributes(item)) {
            self.tables += 1;
            self.table(&attribute, extra, item, module);
            return;
        }
        match item {
            Item::Struct(structure) if derives_columns(&structure.attrs) => {
                let (declaration, diagnostics) = declare::columns(structure);
                self.report(diagnostics);
                let places = self.places(
                    &structure.attrs,
                    &structure.ident,
                    Some(&structure.fields),
                    &declaration.columns,
                );
                module.columns.push(ColumnsScan {
                    declaration,
                    places,
                });
            }
            Item::Enum(ItemEnum { attrs, .. }) | Item::Union(ItemUnion { attrs, .. })
                if derives_columns(attrs) =>
            {
                self.findings.push(declare::columns_wrong_item(item).into());
            }
            Item::Mod(inner) => {
                let mut child = match &inner.content {
                    Some((_, items)) => self.module(items),
                    None => ModuleScan {
                        is_external: true,
                        ..ModuleScan::default()
                    },
                };
                child.name = inner.ident.unraw().to_string();
                child.at = SpanRange::from(inner.ident.span()).into();
                child.line = child.at.line;
                child.cfgs = cfgs(&inner.attrs);
                child.path = inner.attrs.iter().find_map(path_attribute);
                self.documentation(&inner.attrs, &mut child);
                module.modules.push(child);
            }
            Item::Use(item) => uses(item, module),
            Item::Macro(item) => {
                if let Some(span) = table_in_tokens(item.mac.tokens.clone()) {
                    let name = match &item.ident {
                        Some(ident) => format!("`macro_rules! {ident}`"),
                        None => format!("the call of `{}!`", path_text(&item.mac.path)),
                    };
                    self.findings.push(
                        LocalFinding::new(
                            Code::InMacro,
                            format!("table declared inside {name} can't be read without compiling"),
                            SpanRange::from(span).into(),
                        )
                        .help("write the item out"),
                    );
                    self.tables += 1;
                }
                if let Some(ident) = &item.ident {
                    module.others.push(ident.to_string());
                }
            }
            other => module.others.extend(item_name(other)),
        }
    }

    /// The `#[table]` attribute, and the predicate of a `#[cfg_attr]` around it.
    fn table_attribute(&self, attributes: &[Attribute]) -> Option<(Attribute, Option<Predicate>)> {
        for attribute in attributes {
            if self.imports.is_table(attribute.path()) {
                return Some((attribute.clone(), None));
            }
            if attribute.path().is_ident("cfg_attr")
                && let Meta::List(list) = &attribute.meta
            {
                let mut predicate = TokenStream::new();
                let mut rest = list.tokens.clone().into_iter();
                for token in rest.by_ref() {
                    if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',') {
                        break;
                    }
                    predicate.extend([token]);
                }
                if let Ok(meta) = syn::parse2::<Meta>(rest.collect())
                    && self.imports.is_table(meta.path())
                {
                    let mut inner = attribute.clone();
                    inner.meta = meta;
                    return Some((inner, Some(Predicate::parse(&predicate))));
                }
            }
        }
        None
    }

    fn table(
        &mut self,
        attribute: &Attribute,
        extra: Option<Predicate>,
        item: &Item,
        module: &mut ModuleScan,
    ) {
        let tokens = match declare::attribute_arguments(attribute) {
            Ok(tokens) => tokens,
            Err(diagnostic) => {
                self.findings.push((*diagnostic).into());
                return;
            }
        };
        let at = SpanRange::of(attribute);
        let (declaration, diagnostics, places) = match item {
            Item::Struct(item) => {
                let (declaration, diagnostics) =
                    declare::table(tokens, at, declare::Item::Struct(item));
                let places = self.places(
                    &item.attrs,
                    &item.ident,
                    Some(&item.fields),
                    &declaration.columns,
                );
                (declaration, diagnostics, places)
            }
            Item::Fn(item) => {
                let (declaration, diagnostics) =
                    declare::table(tokens, at, declare::Item::Function(item));
                let places = self.places(&item.attrs, &item.sig.ident, None, &[]);
                (declaration, diagnostics, places)
            }
            other => {
                self.findings.push(declare::table::wrong_item(other).into());
                return;
            }
        };
        let is_broken = !diagnostics.is_empty();
        self.report(diagnostics);
        let mut cfgs = cfgs(attributes(item));
        cfgs.extend(extra);
        module.tables.push(TableScan {
            declaration,
            cfgs,
            places: ItemPlaces {
                attribute: at.into(),
                ..places
            },
            is_broken,
        });
    }

    fn places(
        &self,
        attributes: &[Attribute],
        ident: &syn::Ident,
        fields: Option<&syn::Fields>,
        declared: &[ColumnDeclaration],
    ) -> ItemPlaces {
        let mut columns = Vec::with_capacity(declared.len());
        let mut renamed = Vec::new();
        for (field, column) in fields.into_iter().flatten().zip(declared) {
            columns.push((type_place(&field.ty), self.docs_place(&field.attrs)));
            if let Some(ident) = &field.ident
                && *ident != column.name
                && ident.unraw() != column.name
            {
                renamed.push((ident.unraw().to_string(), column.name.clone()));
            }
        }
        ItemPlaces {
            name: SpanRange::from(ident.span()).into(),
            attribute: Range::default(),
            docs: self.docs_place(attributes),
            columns,
            renamed,
        }
    }

    /// The place of the first doc line.
    fn docs_place(&self, attributes: &[Attribute]) -> Range {
        let mut docs = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("doc"));
        let Some(first) = docs.next() else {
            return Range::default();
        };
        let mut range = Range::from(SpanRange::from(first.pound_token.span));
        if let Ok(index) = self
            .comments
            .binary_search_by_key(&range.line, |(line, _)| *line)
        {
            range.end_column = self.comments[index].1;
        }
        range
    }

    fn documentation(&mut self, attributes: &[Attribute], module: &mut ModuleScan) {
        let mut diagnostics = Diagnostics::default();
        let Documentation { docs, hidden, .. } = documentation(attributes, &mut diagnostics);
        let (computed, others): (Vec<_>, Vec<_>) = diagnostics
            .into_iter()
            .map(LocalFinding::from)
            .partition(|finding| finding.diagnostic.code == Code::DocAttribute);
        module.computed_docs.extend(computed);
        self.findings.extend(others);
        if !docs.is_empty() {
            module.docs_at = self.docs_place(attributes);
        }
        module.docs = docs;
        module.hidden = hidden;
    }

    fn report(&mut self, diagnostics: Diagnostics) {
        self.findings
            .extend(diagnostics.into_iter().map(LocalFinding::from));
    }
}

/// Finds `#[table]` where no module can hold it: in the body of a function.
struct Misplaced<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
}

impl<'ast> Visit<'ast> for Misplaced<'_, '_> {
    fn visit_block(&mut self, block: &'ast syn::Block) {
        for statement in &block.stmts {
            if let syn::Stmt::Item(item) = statement
                && let Some((attribute, _)) = self.scanner.table_attribute(attributes(item))
            {
                self.scanner.findings.push(
                    LocalFinding::new(
                        Code::InMacro,
                        "a table can't be declared inside a function",
                        SpanRange::of(&attribute).into(),
                    )
                    .help("move the item into a module"),
                );
            }
        }
        visit::visit_block(self, block);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        _ => &[],
    }
}

fn item_name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.unraw().to_string())
}

fn derives_columns(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("derive")
            && attribute
                .meta
                .to_token_stream()
                .into_iter()
                .any(|token| match token {
                    TokenTree::Group(group) => group.stream().into_iter().any(
                        |token| matches!(token, TokenTree::Ident(ident) if ident == "Columns"),
                    ),
                    _ => false,
                })
    })
}

fn cfgs(attributes: &[Attribute]) -> Vec<Predicate> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) => Some(Predicate::parse(&list.tokens)),
            _ => None,
        })
        .collect()
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    if !attribute.path().is_ident("path") {
        return None;
    }
    match &attribute.meta {
        Meta::NameValue(meta) => match &meta.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(path),
                ..
            }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Where a type stands. The places of a path are known without turning it into tokens.
fn type_place(syntax: &syn::Type) -> Range {
    if let syn::Type::Path(path) = syntax
        && path.qself.is_none()
        && path.path.leading_colon.is_none()
        && let (Some(first), Some(last)) = (path.path.segments.first(), path.path.segments.last())
        && let Some(end) = match &last.arguments {
            syn::PathArguments::None => Some(last.ident.span()),
            syn::PathArguments::AngleBracketed(arguments) => Some(arguments.gt_token.span),
            syn::PathArguments::Parenthesized(_) => None,
        }
    {
        return SpanRange {
            start: first.ident.span(),
            end,
        }
        .into();
    }
    SpanRange::of(syntax).into()
}

fn uses(item: &ItemUse, module: &mut ModuleScan) {
    flatten(
        &item.tree,
        &mut Vec::new(),
        &mut module.uses,
        &mut module.globs,
    );
}

fn flatten(
    tree: &UseTree,
    prefix: &mut Vec<String>,
    uses: &mut Vec<UseScan>,
    globs: &mut Vec<Vec<String>>,
) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.unraw().to_string());
            flatten(&path.tree, prefix, uses, globs);
            prefix.pop();
        }
        UseTree::Name(name) => {
            let name = name.ident.unraw().to_string();
            let mut path = prefix.clone();
            // `use crate::neural::{self}` imports the module.
            let alias = if name == "self" {
                prefix.last().cloned().unwrap_or(name)
            } else {
                path.push(name.clone());
                name
            };
            uses.push(UseScan { alias, path });
        }
        UseTree::Rename(rename) => {
            let mut path = prefix.clone();
            let name = rename.ident.unraw().to_string();
            if name != "self" {
                path.push(name);
            }
            uses.push(UseScan {
                alias: rename.rename.unraw().to_string(),
                path,
            });
        }
        UseTree::Glob(_) => globs.push(prefix.clone()),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, uses, globs);
            }
        }
    }
}

fn path_text(path: &syn::Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// Where `#[table` or `#[neurolake::table` stands in unparsed tokens.
fn table_in_tokens(tokens: TokenStream) -> Option<Span> {
    let mut after_pound = None;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => after_pound = Some(punct.span()),
            TokenTree::Group(group) => {
                if let Some(pound) = after_pound.take()
                    && group.delimiter() == Delimiter::Bracket
                    && is_table_path(group.stream())
                {
                    return Some(pound);
                }
                if let Some(span) = table_in_tokens(group.stream()) {
                    return Some(span);
                }
            }
            _ => after_pound = None,
        }
    }
    None
}

fn is_table_path(tokens: TokenStream) -> bool {
    let words: Vec<String> = tokens
        .into_iter()
        .map(|token| token.to_string())
        .take_while(|word| !word.starts_with('('))
        .collect();
    matches!(words.concat().as_str(), "table" | "neurolake::table")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    /// What a file means may not depend on the way that reads it faster.
    fn assert_same(text: &str) {
        let slow = parse_rewritten(text, &[]);
        if let Some(rewritten) = comments::rewrite(text) {
            let fast = parse_rewritten(&rewritten.text, &rewritten.ends);
            let is_good = slow.parsed && slow.findings.is_empty();
            if fast.parsed && fast.findings.is_empty() {
                assert_eq!(format!("{fast:?}"), format!("{slow:?}"), "of\n{text}");
            } else {
                assert!(
                    !is_good,
                    "the long way found nothing in\n{text}\nread as\n{}",
                    rewritten.text
                );
            }
        }
        let scan = format!("{:?}", scan(text.as_bytes()));
        if may_matter(text) {
            assert_eq!(scan, format!("{slow:?}"), "of\n{text}");
        }
    }

    /// All Rust source of the project, broken cases included.
    fn sources() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = ["catalog-gen", "neurolake", "tests"].map(|folder| root.join(folder));
        let sources: Vec<String> = folders
            .iter()
            .flat_map(|folder| walkdir::WalkDir::new(folder).sort_by_file_name())
            .flatten()
            .filter(|entry| {
                entry
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "rs")
            })
            .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .collect();
        assert!(sources.len() > 100, "{} sources", sources.len());
        sources
    }

    #[test]
    fn comments_are_read_alike_either_way() {
        let sources = sources();
        let rewritten = sources
            .iter()
            .filter(|text| comments::rewrite(text).is_some())
            .count();
        assert!(rewritten > 50, "{rewritten} of {} sources", sources.len());
        for text in &sources {
            assert_same(text);
        }
    }

    #[test]
    fn types_stand_where_their_tokens_do() {
        for text in [
            "f64",
            "a::B",
            "Option<f64>",
            "::a::B",
            "a::B<C, Vec<u8>>",
            "fn(u8) -> u8",
            "[u8; 3]",
            "a::B::<C>",
        ] {
            let source = format!("type A =\n    {text};");
            let file = syn::parse_file(&source).expect("a type");
            let Item::Type(item) = &file.items[0] else {
                panic!("{source} is no type");
            };
            assert_eq!(
                type_place(&item.ty),
                SpanRange::of(&item.ty).into(),
                "{text}"
            );
        }
    }

    #[test]
    fn comments_in_odd_places_are_read_alike() {
        let table = "#[table(delta = \"s3://l/t\")]\npub struct T {\n    /// A.\n    a: i32,\n}\n";
        for odd in [
            "/// a\n/// b\n\n/// c\n",
            "  \t/// indented\n//// no doc\n/// doc\n",
            "#[doc(hidden)]\n/// \"quoted\" # and \\ escaped\n",
            "/// \"# ends a raw string\n",
            "/// CRLF\r\n/// twice\r\n",
            "/// carriage \r return\n",
            "/** block */\n/// line\n/** another\n/// inside */\n",
            "/* /* nested /// */ /// */\n/// doc\n",
            "//! inner\n\n/// outer\n",
            "/// before inner\n#![allow(dead_code)]\n",
            "const A: &str = \"\n/// no doc\n\";\n/// doc\n",
            "const A: &str = r#\"\n/// no \" doc\n\"#;\n/// doc\n",
            "const A: &[u8] = br\"\\\n/// no doc\n\";\n/// doc\n",
            "const A: char = '\"';\n/// doc\nconst B: u8 = b'\\'';\n/// doc\n",
            "fn f<'a>(x: &'a str) -> char { '\\u{22}' }\n/// doc\n",
            "fn r#fn() {}\n/// doc\n",
            "macro_rules! m { ($(#[$meta:meta])* 'r) => {\n/// doc\n} }\n/// doc\n",
            "fn f() {\n    /// of a statement\n    let x = 1;\n}\n/// doc\n",
            "/// \u{2028} and \u{feff} \u{1f9e0}\n",
            "mod inner {\n    //! inner\n    /// doc\n    pub mod deeper {}\n    /// lost\n}\n",
            "/// key ghp_0123456789abcdefghijABCDEFGHIJ012345\n",
            "#!/usr/bin/env it's\n",
            "\u{feff}/// after a mark\n",
            "pub /// in between\n",
            "use a::{b}\n/// lost\n;\n",
            "static S: &str = c\"\\\"\n/// no doc\";\n",
            "/// [`Gone`]\n",
        ] {
            for text in [
                format!("{odd}{table}"),
                format!("{table}{odd}"),
                format!("{odd}{odd}{table}"),
            ] {
                assert_same(&text);
            }
        }
    }

    #[test]
    fn broken_comments_are_read_alike() {
        let sources = sources();
        let small: Vec<&String> = sources
            .iter()
            .filter(|text| text.len() < 3_000 && text.contains("#[table") && text.contains("///"))
            .collect();
        let pieces = [
            "/",
            "//",
            "///",
            "////",
            "\n",
            "\"",
            "'",
            "#",
            "r#\"",
            "\"#",
            "/*",
            "*/",
            "\\",
            "{",
            "}",
            "(",
            ")",
            "\n/// doc\n",
            "b'",
            "//!",
            "\r",
            "\u{e9}",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 11).unwrap_or_default() % below
        };
        let mut readable = 0;
        for _ in 0..4_000 {
            let mut text = small[random(small.len())].clone();
            for _ in 0..=random(2) {
                let mut at = random(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                match random(3) {
                    0 => text.truncate(at),
                    1 => drop(text.remove(at)),
                    _ => text.insert_str(at, pieces[random(pieces.len())]),
                }
                let _ = write!(text, " ");
            }
            readable += usize::from(parse_rewritten(&text, &[]).parsed);
            assert_same(&text);
        }
        assert!(
            (500..3_900).contains(&readable),
            "{readable} of 4000 could be read"
        );
    }
}
