//! Everything together: declarations of all packages become one catalog.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use neurolake_declare::diagnostic::Severity;
use neurolake_declare::names::{is_reserved_database_name, is_valid_table_name, nearest};
use neurolake_declare::{Code, secret};
use neurolake_model::declaration::{ColumnDeclaration, DeclaredTable};
use neurolake_model::{
    Catalog, Column, Database, Deprecation, Endpoints, FORMAT_VERSION, Input, Location, Source,
    Table,
};
use rayon::prelude::*;

use super::cfg::Predicate;
use super::finding::{Finding, Place, Range};
use super::links::{self, Target};
use super::modules::Module;
use super::names::{Entity, Names};
use super::scan::{ItemPlaces, TableScan};
use super::workspace::{DeclaringPackage, Workspace};

pub(crate) struct Assembled {
    pub(crate) catalog: Catalog,
    pub(crate) declared: Vec<DeclaredTable>,
}

/// A table with the module that holds it.
struct Candidate<'a> {
    module: usize,
    scan: &'a TableScan,
    cfg: Option<String>,
    database: Option<String>,
}

pub(crate) fn assemble(
    workspace: &Workspace,
    packages: Vec<(&DeclaringPackage, Vec<Module>)>,
    with_declared: bool,
    findings: &mut Vec<Finding>,
) -> Assembled {
    let mut modules = Vec::new();
    let mut owners = Vec::new();
    for (package, found) in packages {
        owners.extend(std::iter::repeat_n(package, found.len()));
        modules.extend(found);
    }
    let candidates = candidates(&modules, &owners, findings);
    let names = Names::new(
        &modules,
        candidates
            .iter()
            .map(|candidate| (candidate.module, candidate.scan.declaration.item.as_str())),
    );
    let context = Context {
        modules: &modules,
        candidates: &candidates,
        names: &names,
        root: &workspace.root,
        known: candidates
            .iter()
            .filter_map(|candidate| {
                let database = candidate.database.as_deref()?;
                Some((database, candidate.scan.declaration.table.name.as_str()))
            })
            .collect(),
    };
    let mut resolved: Vec<(Resolved, Vec<Finding>)> = (0..candidates.len())
        .into_par_iter()
        .map(|index| context.table(index, with_declared))
        .collect();
    for (_, found) in &mut resolved {
        findings.append(found);
    }
    let resolved: Vec<Resolved> = resolved.into_iter().map(|(resolved, _)| resolved).collect();
    context.check_names(findings);
    context.check_nested_docs(findings);
    check_policy(workspace, &context, findings);
    check_circles(&context, &resolved, findings);

    let mut databases: BTreeMap<String, Database> = BTreeMap::new();
    let mut declared = Vec::new();
    let mut taken = HashSet::new();
    let declaring: HashSet<&str> = candidates
        .iter()
        .map(|candidate| owners[candidate.module].name.as_str())
        .collect();
    for (candidate, resolved) in candidates.iter().zip(resolved) {
        let Some(name) = &candidate.database else {
            continue;
        };
        if candidate.scan.is_broken || !taken.insert((name.clone(), resolved.table.name.clone())) {
            continue;
        }
        declared.extend(resolved.declared);
        databases
            .entry(name.clone())
            .or_insert_with(|| context.database(name, candidate, findings))
            .tables
            .push(resolved.table);
    }
    let mut databases: Vec<Database> = databases.into_values().collect();
    for database in &mut databases {
        database.tables.sort_by(|a, b| a.name.cmp(&b.name));
    }
    declared.sort_by(|a, b| {
        (a.database(), &a.declaration.table.name).cmp(&(b.database(), &b.declaration.table.name))
    });
    let is_good = findings
        .iter()
        .all(|finding| finding.severity < Severity::Error);
    if candidates.is_empty() && is_good {
        findings.push(
            Finding::error(Code::NoTables, "the workspace declares no table", None)
                .severity(Severity::Warning)
                .help("a package that depends on `neurolake` declares one with `#[table(...)]`"),
        );
    }
    let catalog = catalog(
        workspace, &context, &owners, &declaring, databases, findings,
    );
    Assembled { catalog, declared }
}

/// All tables that are not switched off, each once although several targets may hold it.
fn candidates<'a>(
    modules: &'a [Module],
    owners: &[&DeclaringPackage],
    findings: &mut Vec<Finding>,
) -> Vec<Candidate<'a>> {
    let mut seen: HashSet<(Arc<str>, Range)> = HashSet::new();
    let mut candidates = Vec::new();
    for (index, module) in modules.iter().enumerate() {
        for scan in &module.scan.get().tables {
            if !seen.insert((module.file.clone(), scan.places.name)) {
                continue;
            }
            let mut undecided = Vec::new();
            let mut off: Option<&Predicate> = None;
            for predicate in module.cfgs.iter().chain(&scan.cfgs) {
                match predicate.evaluate(&owners[index].features) {
                    Some(true) => {}
                    Some(false) => off = Some(predicate),
                    None => undecided.push(predicate.text()),
                }
            }
            if let Some(predicate) = off {
                if predicate.text() != "test" {
                    findings.push(
                        Finding::error(
                            Code::SwitchedOff,
                            format!(
                                "`{}` is switched off by `#[cfg({})]`",
                                scan.declaration.item,
                                predicate.text()
                            ),
                            Some(Place::at(module.file.clone(), scan.places.name)),
                        )
                        .severity(Severity::Note),
                    );
                }
                continue;
            }
            if let Some(found) = undecided.iter().find_map(|text| secret::find(text)) {
                findings.push(Finding::error(
                    Code::Secret,
                    format!("`#[cfg]` of `{}` holds {found}", scan.declaration.item),
                    Some(Place::at(module.file.clone(), scan.places.name)),
                ));
                continue;
            }
            let database = match &scan.declaration.database {
                Some(database) => Some(database.clone()),
                None => module.path.get(1).cloned(),
            };
            candidates.push(Candidate {
                module: index,
                scan,
                cfg: match undecided.as_slice() {
                    [] => None,
                    [one] => Some(one.clone()),
                    several => Some(format!("all({})", several.join(", "))),
                },
                database,
            });
        }
    }
    candidates
}

/// A table with everything resolved.
struct Resolved {
    table: Table,
    declared: Option<DeclaredTable>,
}

struct Context<'a> {
    modules: &'a [Module],
    candidates: &'a [Candidate<'a>],
    names: &'a Names<'a>,
    root: &'a Path,
    known: HashSet<(&'a str, &'a str)>,
}

impl Context<'_> {
    fn table(&self, index: usize, with_declared: bool) -> (Resolved, Vec<Finding>) {
        let candidate = &self.candidates[index];
        let module = &self.modules[candidate.module];
        let declaration = &candidate.scan.declaration;
        let places = &candidate.scan.places;
        let mut findings = Vec::new();
        let at = |range: Range| Some(Place::at(module.file.clone(), range));

        let columns = match &declaration.rows {
            Some(rows) => self
                .struct_columns(candidate.module, rows, Docs::Linked, &mut Vec::new())
                .unwrap_or_else(|problem| {
                    findings.push(problem.finding(at(places.attribute)));
                    Vec::new()
                }),
            None => declaration
                .columns
                .iter()
                .enumerate()
                .map(|(position, column)| {
                    self.column(candidate.module, column, Docs::Linked)
                        .unwrap_or_else(|problem| {
                            let range = places.columns.get(position).map(|(range, _)| *range);
                            findings.push(problem.finding(at(range.unwrap_or_default())));
                            without_type(column)
                        })
                })
                .collect(),
        };
        let declared = with_declared.then(|| DeclaredTable {
            module: module.path.join("::"),
            declaration: declaration.clone(),
            columns: self.columns_as_written(candidate, &columns),
        });

        let mut table = declaration.table.clone();
        table.columns = columns;
        table.inputs = self.inputs(candidate, &mut findings);
        table.cfg.clone_from(&candidate.cfg);
        table.hidden |= module.hidden;
        table.rust_path = format!("{}::{}", module.path.join("::"), declaration.item);
        table.location = Location {
            file: module.file.to_string(),
            line: places.name.line,
        };
        self.link_docs(index, &mut table, &mut findings);
        (Resolved { table, declared }, findings)
    }

    /// The columns as the macro knows them: it can't resolve links.
    fn columns_as_written(&self, candidate: &Candidate<'_>, linked: &[Column]) -> Vec<Column> {
        let module = candidate.module;
        let declaration = &candidate.scan.declaration;
        let written: Result<Vec<Column>, Problem> = match &declaration.rows {
            Some(rows) => self.struct_columns(module, rows, Docs::AsWritten, &mut Vec::new()),
            None if declaration
                .columns
                .iter()
                .all(|column| column.data_type.names().is_none()) =>
            {
                return linked.to_vec();
            }
            None => {
                let columns = declaration.columns.iter();
                columns
                    .map(|column| self.column(module, column, Docs::AsWritten))
                    .collect()
            }
        };
        // Problems were reported for the linked columns.
        written.unwrap_or_else(|_| linked.to_vec())
    }

    fn column(
        &self,
        module: usize,
        column: &ColumnDeclaration,
        docs: Docs,
    ) -> Result<Column, Problem> {
        let mut trail = Vec::new();
        column.resolve(&mut |path| self.struct_columns(module, path, docs, &mut trail))
    }

    /// Columns of a struct, with nested structs filled in. `trail`: structs around it.
    fn struct_columns(
        &self,
        module: usize,
        path: &str,
        docs: Docs,
        trail: &mut Vec<(usize, usize)>,
    ) -> Result<Vec<Column>, Problem> {
        let Some(Entity::Columns(owner, at)) = self.names.resolve(module, path) else {
            let in_scope = self
                .names
                .in_scope(module, |entity| matches!(entity, Entity::Columns(..)));
            let last = path.rsplit("::").next().unwrap_or(path);
            return Err(Problem::Unknown {
                path: path.to_owned(),
                near: nearest(last, in_scope)
                    .filter(|near| *near != last)
                    .map(str::to_owned),
            });
        };
        if trail.contains(&(owner, at)) {
            return Err(Problem::Recursive(path.to_owned()));
        }
        if trail.len() == MAX_NESTED_STRUCTS {
            return Err(Problem::TooDeep(path.to_owned()));
        }
        trail.push((owner, at));
        let scan = &self.modules[owner].scan.get().columns[at];
        let mut columns: Vec<Column> = scan
            .declaration
            .columns
            .iter()
            .map(|column| column.resolve(&mut |path| self.struct_columns(owner, path, docs, trail)))
            .collect::<Result<_, _>>()?;
        trail.pop();
        if docs == Docs::AsWritten {
            return Ok(columns);
        }
        let mut ignored = Vec::new();
        for (position, column) in columns.iter_mut().enumerate() {
            // Links in nested docs belong to the module of the nested struct. Where they dangle is
            // reported once, when that struct itself is checked.
            let place = scan.places.columns.get(position).map(|(_, docs)| *docs);
            let scope = Scope {
                module: owner,
                own: None,
                file: &self.modules[owner].file,
            };
            column.docs = self.link(
                &scope,
                &column.docs,
                place.unwrap_or_default(),
                &mut ignored,
            );
        }
        Ok(columns)
    }

    fn inputs(&self, candidate: &Candidate<'_>, findings: &mut Vec<Finding>) -> Vec<Input> {
        let declaration = &candidate.scan.declaration;
        let place = || {
            Some(Place::at(
                self.modules[candidate.module].file.clone(),
                candidate.scan.places.attribute,
            ))
        };
        let mut inputs = Vec::new();
        for written in &declaration.inputs {
            if let Some((database, table)) = written.split_once('.') {
                if self.known.contains(&(database, table)) {
                    inputs.push(Input {
                        database: database.to_owned(),
                        table: table.to_owned(),
                    });
                    continue;
                }
                let all: Vec<String> = self.known.iter().map(|(d, t)| format!("{d}.{t}")).collect();
                let near = nearest(written, all.iter().map(String::as_str));
                let (code, message) = if matches!(declaration.table.source, Source::Sql { .. }) {
                    (
                        Code::SqlUnknownTable,
                        format!("the statement reads `{written}`, which is not in the catalog"),
                    )
                } else {
                    (
                        Code::UnknownInput,
                        format!("input `{written}` is not in the catalog"),
                    )
                };
                findings.push(did_you_mean(Finding::error(code, message, place()), near));
                continue;
            }
            let target = if let Some(Entity::Table(target)) =
                self.names.resolve(candidate.module, written)
            {
                &self.candidates[target]
            } else {
                let in_scope = self.names.in_scope(candidate.module, |entity| {
                    matches!(entity, Entity::Table(_))
                });
                let last = written.rsplit("::").next().unwrap_or(written);
                let near = nearest(last, in_scope).filter(|near| *near != last);
                let finding = Finding::error(
                    Code::UnknownInput,
                    format!("input `{written}` is no table"),
                    place(),
                );
                findings.push(match near {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help("name the item by its path, as in `crate::neural::Spikes`, or bring it into scope with `use`"),
                });
                continue;
            };
            if let Some(database) = &target.database {
                inputs.push(Input {
                    database: database.clone(),
                    table: target.scan.declaration.table.name.clone(),
                });
            }
        }
        inputs.sort();
        inputs.dedup();
        inputs
    }

    fn link_docs(&self, index: usize, table: &mut Table, findings: &mut Vec<Finding>) {
        let candidate = &self.candidates[index];
        let places = &candidate.scan.places;
        let scope = Scope {
            module: candidate.module,
            own: Some(index),
            file: &self.modules[candidate.module].file,
        };
        table.docs = self.link(&scope, &table.docs, places.docs, findings);
        self.link_deprecation(&scope, &mut table.deprecated, places, findings);
        // Columns of `rows` were linked in the module of their struct.
        if candidate.scan.declaration.rows.is_some() {
            return;
        }
        for (position, column) in table.columns.iter_mut().enumerate() {
            let place = places.columns.get(position).map(|(_, docs)| *docs);
            column.docs = self.link(&scope, &column.docs, place.unwrap_or_default(), findings);
            self.link_deprecation(&scope, &mut column.deprecated, places, findings);
        }
    }

    fn link_deprecation(
        &self,
        scope: &Scope<'_>,
        deprecation: &mut Option<Deprecation>,
        places: &ItemPlaces,
        findings: &mut Vec<Finding>,
    ) {
        let Some(deprecation) = deprecation else {
            return;
        };
        let mut replacement = None;
        let (note, dangling) = links::rewrite(&deprecation.note, &mut |path| {
            let target = self.target(scope, path);
            if let Target::Address(address) = &target
                && replacement.is_none()
            {
                replacement = input_of(address);
            }
            target
        });
        deprecation.note = note;
        deprecation.replacement = replacement;
        for link in dangling {
            let place = Place::at(scope.file.clone(), places.name);
            findings.push(dangling_finding(&link, place));
        }
    }

    /// Rewrites the links of a doc comment that begins at `place`.
    fn link(
        &self,
        scope: &Scope<'_>,
        docs: &str,
        place: Range,
        findings: &mut Vec<Finding>,
    ) -> String {
        let (text, dangling) = links::rewrite(docs, &mut |path| self.target(scope, path));
        for link in dangling {
            let file = self.root.join(&**scope.file);
            let range = links::place(docs, &link.range, place.line, &file).unwrap_or(place);
            findings.push(dangling_finding(
                &link,
                Place::at(scope.file.clone(), range),
            ));
        }
        text
    }

    fn target(&self, scope: &Scope<'_>, path: &str) -> Target {
        if let Some(own) = scope.own {
            if path == "Self" {
                return self.address(own, None);
            }
            if let Some(column) = path.strip_prefix("Self::") {
                return self.address(own, Some(column));
            }
        } else if path == "Self" || path.starts_with("Self::") {
            // A nested struct has no page of its own.
            return Target::Elsewhere;
        }
        match self.names.resolve(scope.module, path) {
            Some(Entity::Table(table)) => return self.address(table, None),
            Some(Entity::Module(module)) => {
                let path = &self.modules[module].path;
                let is_database = path.len() == 2
                    && self
                        .candidates
                        .iter()
                        .any(|candidate| candidate.database.as_ref() == Some(&path[1]));
                return if is_database {
                    Target::Address(format!("database:{}", path[1]))
                } else {
                    Target::Elsewhere
                };
            }
            Some(Entity::Columns(..) | Entity::Other) => return Target::Elsewhere,
            None => {}
        }
        if let Some((item, member)) = path.rsplit_once("::") {
            match self.names.resolve(scope.module, item) {
                Some(Entity::Table(table)) => return self.address(table, Some(member)),
                Some(Entity::Columns(..) | Entity::Other) => return Target::Elsewhere,
                _ => {}
            }
        }
        if is_external(path) {
            return Target::Elsewhere;
        }
        let (prefix, last) = path.rsplit_once("::").map_or(("", path), |(module, last)| {
            (&path[..module.len() + 2], last)
        });
        let module = match self
            .names
            .resolve(scope.module, prefix.trim_end_matches("::"))
        {
            Some(Entity::Module(module)) => module,
            _ => scope.module,
        };
        let tables = self
            .names
            .in_scope(module, |entity| matches!(entity, Entity::Table(_)));
        Target::Nothing(nearest(last, tables).map(|near| format!("{prefix}{near}")))
    }

    fn address(&self, table: usize, column: Option<&str>) -> Target {
        let candidate = &self.candidates[table];
        let Some(database) = &candidate.database else {
            return Target::Elsewhere;
        };
        let declaration = &candidate.scan.declaration;
        let name = &declaration.table.name;
        let Some(column) = column else {
            return Target::Address(format!("table:{database}.{name}"));
        };
        let column = column.trim_start_matches("r#");
        let renamed = &candidate.scan.places.renamed;
        let column = renamed
            .iter()
            .find(|(field, _)| field == column)
            .map_or(column, |(_, column)| column.as_str());
        let is_declared = declaration.columns.iter().any(|other| other.name == column)
            || declaration.table.is_partition(column)
            || declaration.rows.is_some();
        if is_declared {
            return Target::Address(format!("table:{database}.{name}#{column}"));
        }
        let columns = declaration.columns.iter().map(|other| other.name.as_str());
        Target::Nothing(
            nearest(column, columns).map(|near| format!("{}::{near}", declaration.item)),
        )
    }

    /// Dangling links in structs that columns name: once for each struct, however often it is used.
    fn check_nested_docs(&self, findings: &mut Vec<Finding>) {
        for (index, module) in self.modules.iter().enumerate() {
            let scope = Scope {
                module: index,
                own: None,
                file: &module.file,
            };
            for scan in &module.scan.get().columns {
                let places = scan.places.columns.iter().map(|(_, docs)| *docs);
                for (column, place) in scan.declaration.columns.iter().zip(places) {
                    self.link(&scope, &column.docs, place, findings);
                }
            }
        }
    }

    /// Names that can't be served: two tables of one name, tables without a database.
    fn check_names(&self, findings: &mut Vec<Finding>) {
        let mut first: HashMap<(&str, &str), &Candidate<'_>> = HashMap::new();
        let mut candidates: Vec<_> = self.candidates.iter().collect();
        candidates.sort_by_cached_key(|candidate| self.place(candidate));
        for candidate in candidates {
            let name = candidate.scan.declaration.table.name.as_str();
            let place = self.place(candidate);
            let Some(database) = candidate.database.as_deref() else {
                findings.push(
                    Finding::error(
                        Code::NoDatabase,
                        format!(
                            "table `{name}` is at the root of its crate, so it has no database"
                        ),
                        Some(place),
                    )
                    .help("move it into a module, which becomes the database")
                    .help("or say `database = \"...\"`"),
                );
                continue;
            };
            if is_reserved_database_name(database) || !is_valid_table_name(database) {
                let code = if is_reserved_database_name(database) {
                    Code::ReservedDatabase
                } else {
                    Code::Name
                };
                let reason = if code == Code::ReservedDatabase {
                    "the site or SQL needs it for itself"
                } else {
                    "it has other characters than `a` to `z`, digits and `_`"
                };
                findings.push(
                    Finding::error(
                        code,
                        format!("`{database}` can't be the name of a database: {reason}"),
                        Some(place.clone()),
                    )
                    .help("rename the module, or say `database = \"...\"`"),
                );
            }
            match first.get(&(database, name)) {
                Some(other) => findings.push(
                    Finding::error(
                        Code::DuplicateTable,
                        format!("table `{database}.{name}` is declared twice"),
                        Some(place),
                    )
                    .related(self.place(other), "first declared here")
                    .help("rename one item, or give it `name = \"...\"`"),
                ),
                None => {
                    first.insert((database, name), candidate);
                }
            }
        }
        self.check_ingest(&first, findings);
    }

    /// What only one table can have: the name of dead letters, and the queue of a Delta table.
    fn check_ingest(
        &self,
        tables: &HashMap<(&str, &str), &Candidate<'_>>,
        findings: &mut Vec<Finding>,
    ) {
        let mut taking: Vec<_> = tables
            .iter()
            .filter(|(_, candidate)| !candidate.scan.is_broken)
            .filter(|(_, candidate)| candidate.scan.declaration.table.ingest)
            .collect();
        taking.sort_by_cached_key(|(_, candidate)| self.place(candidate));
        let mut queues: HashMap<(&str, Option<&str>), &Candidate<'_>> = HashMap::new();
        for ((database, name), candidate) in taking {
            let letters = format!("{name}__dead_letters");
            if let Some(other) = tables.get(&(*database, letters.as_str())) {
                findings.push(
                    Finding::error(
                        Code::DuplicateTable,
                        format!("`{database}.{letters}` is the name of dead letters"),
                        Some(self.place(other)),
                    )
                    .related(self.place(candidate), "of this table, which takes events")
                    .help("rename one item, or give it `name = \"...\"`"),
                );
            }
            let table = &candidate.scan.declaration.table;
            let Source::Delta { uri } = &table.source else {
                continue;
            };
            match queues.entry((uri, table.store.as_deref())) {
                Entry::Vacant(free) => {
                    free.insert(candidate);
                }
                Entry::Occupied(other) => findings.push(
                    Finding::error(
                        Code::SharedIngest,
                        format!("`{database}.{name}` takes events for a Delta table that another one writes"),
                        Some(self.place(candidate)),
                    )
                    .related(self.place(other.get()), "takes events for it, too")
                    .help("remove `ingest` from one of them"),
                ),
            }
        }
    }

    fn place(&self, candidate: &Candidate<'_>) -> Place {
        Place::at(
            self.modules[candidate.module].file.clone(),
            candidate.scan.places.name,
        )
    }

    fn database(&self, name: &str, first: &Candidate<'_>, findings: &mut Vec<Finding>) -> Database {
        let mut docs = String::new();
        let mut location = None;
        let crates = self
            .modules
            .iter()
            .enumerate()
            .filter(|(_, module)| module.path.len() == 2 && module.path[1] == name);
        for (index, module) in crates {
            let text = self.module_docs(index, findings);
            if docs.is_empty() {
                docs = text;
            }
            location.get_or_insert_with(|| Location {
                file: module.file.to_string(),
                line: module.line,
            });
        }
        let place = self.place(first);
        Database {
            name: name.to_owned(),
            docs,
            location: location.unwrap_or(Location {
                file: place.file.to_string(),
                line: place.line,
            }),
            tables: Vec::new(),
        }
    }

    /// Docs on `mod name;` and in the file itself.
    fn module_docs(&self, index: usize, findings: &mut Vec<Finding>) -> String {
        let module = &self.modules[index];
        let scan = module.scan.get();
        let mut parts = Vec::new();
        if let Some((docs, file, place)) = &module.outer_docs {
            let parent = self.modules.iter().position(|other| {
                other.path == module.path[..module.path.len() - 1] && other.file == *file
            });
            let scope = Scope {
                module: parent.unwrap_or(index),
                own: None,
                file,
            };
            parts.push(self.link(&scope, docs, *place, findings));
        }
        for computed in &scan.computed_docs {
            findings.push(computed.in_file(&module.file).severity(Severity::Warning));
        }
        if !scan.docs.is_empty() {
            let scope = Scope {
                module: index,
                own: None,
                file: &module.file,
            };
            parts.push(self.link(&scope, &scan.docs, scan.docs_at, findings));
        }
        parts.join("\n\n")
    }
}

/// What happens to links in the documentation of nested columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Docs {
    Linked,
    AsWritten,
}

/// Where a doc comment stands.
struct Scope<'a> {
    module: usize,
    /// The table that `Self` means.
    own: Option<usize>,
    file: &'a Arc<str>,
}

/// Why a struct's columns can't be known.
enum Problem {
    Unknown { path: String, near: Option<String> },
    Recursive(String),
    TooDeep(String),
}

/// A reader of JSON gives up at 128 levels, and a struct in a list in a map is eight of them.
const MAX_NESTED_STRUCTS: usize = 12;

impl Problem {
    fn finding(self, place: Option<Place>) -> Finding {
        match self {
            Self::Unknown { path, near } => {
                let finding = Finding::error(
                    Code::UnknownStruct,
                    format!("no struct `{path}` with `#[derive(Columns)]` is in scope"),
                    place,
                );
                match near {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help(
                        "derive `Columns` for it and bring it into scope with `use`, or use a scalar type",
                    ),
                }
            }
            Self::TooDeep(path) => Finding::error(
                Code::RecursiveStruct,
                format!("struct `{path}` is nested more than {MAX_NESTED_STRUCTS} levels deep"),
                place,
            )
            .help("give the inner rows a table of their own"),
            Self::Recursive(path) => Finding::error(
                Code::RecursiveStruct,
                format!("struct `{path}` contains itself"),
                place,
            )
            .help("refer to other rows by an id"),
        }
    }
}

fn without_type(column: &ColumnDeclaration) -> Column {
    let resolved: Result<Column, std::convert::Infallible> =
        column.resolve(&mut |_| Ok(Vec::new()));
    match resolved {
        Ok(column) => column,
        Err(never) => match never {},
    }
}

fn did_you_mean(finding: Finding, near: Option<&str>) -> Finding {
    match near {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding,
    }
}

fn dangling_finding(link: &links::Dangling, place: Place) -> Finding {
    let finding = Finding::error(
        Code::DanglingLink,
        format!("link to `{}` leads nowhere", link.path),
        Some(place),
    );
    match &link.suggestion {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding
            .help("name a table or a column by its path; write `\\[...\\]` for plain brackets"),
    }
}

fn input_of(address: &str) -> Option<Input> {
    let name = address.strip_prefix("table:")?;
    let (database, table) = name.split('#').next()?.split_once('.')?;
    Some(Input {
        database: database.to_owned(),
        table: table.to_owned(),
    })
}

/// Paths that rustdoc would find and the catalog can't show.
fn is_external(path: &str) -> bool {
    const KNOWN: &[&str] = &[
        "std",
        "core",
        "alloc",
        "neurolake",
        "Option",
        "Some",
        "None",
        "Vec",
        "String",
        "Result",
        "Ok",
        "Err",
        "bool",
        "char",
        "str",
        "u8",
        "u16",
        "u32",
        "u64",
        "u128",
        "usize",
        "i8",
        "i16",
        "i32",
        "i64",
        "i128",
        "isize",
        "f32",
        "f64",
        "Timestamp",
        "Date",
        "Decimal",
        "Blob",
        "DataFrame",
        "Lake",
        "HashMap",
        "BTreeMap",
        "Columns",
        "table",
    ];
    let first = path
        .trim_start_matches("::")
        .split("::")
        .next()
        .unwrap_or(path);
    KNOWN.contains(&first)
}

fn check_policy(workspace: &Workspace, context: &Context<'_>, findings: &mut Vec<Finding>) {
    let settings = &workspace.settings;
    for candidate in context.candidates {
        let table = &candidate.scan.declaration.table;
        if let Some(severity) = settings.missing_docs
            && table.docs.is_empty()
        {
            findings.push(
                Finding::error(
                    Code::MissingDocs,
                    format!("table `{}` has no documentation", table.name),
                    Some(context.place(candidate)),
                )
                .severity(severity)
                .help("say in a `///` comment what a row is and where it comes from"),
            );
        }
        if let Some(severity) = settings.missing_owner
            && table.owner.is_none()
        {
            findings.push(
                Finding::error(
                    Code::MissingOwner,
                    format!("table `{}` has no owner", table.name),
                    Some(context.place(candidate)),
                )
                .severity(severity)
                .help("add `owner = \"team\"`"),
            );
        }
    }
}

/// Views that read each other in a circle.
fn check_circles(context: &Context<'_>, resolved: &[Resolved], findings: &mut Vec<Finding>) {
    let views: HashMap<Input, usize> = resolved
        .iter()
        .enumerate()
        .filter(|(_, resolved)| {
            matches!(
                resolved.table.source,
                Source::Sql { .. } | Source::Function { .. }
            )
        })
        .filter_map(|(index, resolved)| {
            let database = context.candidates[index].database.clone()?;
            let table = resolved.table.name.clone();
            Some((Input { database, table }, index))
        })
        .collect();
    let reads = |index: usize| {
        resolved[index]
            .table
            .inputs
            .iter()
            .filter_map(|input| views.get(input).copied())
    };
    // Takes away views that read no remaining view, until only circles and their readers are left.
    let mut open: HashSet<usize> = views.values().copied().collect();
    loop {
        let done: Vec<usize> = open
            .iter()
            .copied()
            .filter(|index| !reads(*index).any(|input| open.contains(&input)))
            .collect();
        if done.is_empty() {
            break;
        }
        for index in done {
            open.remove(&index);
        }
    }
    let mut open: Vec<usize> = open.into_iter().collect();
    open.sort_unstable();
    let mut reported = HashSet::new();
    for start in open {
        let mut way = vec![start];
        while let Some(next) =
            reads(way[way.len() - 1]).find(|input| way[0] == *input || !way.contains(input))
        {
            if next == start {
                let mut circle = way.clone();
                circle.sort_unstable();
                if reported.insert(circle) {
                    findings.push(circle_finding(context, &way));
                }
                break;
            }
            way.push(next);
        }
    }
}

fn circle_finding(context: &Context<'_>, way: &[usize]) -> Finding {
    let name = |index: usize| {
        let candidate = &context.candidates[index];
        let database = candidate.database.as_deref().unwrap_or_default();
        format!("`{database}.{}`", candidate.scan.declaration.table.name)
    };
    let mut names: Vec<String> = way.iter().map(|index| name(*index)).collect();
    names.push(name(way[0]));
    let mut finding = Finding::error(
        Code::CircularInputs,
        format!("views read each other in a circle: {}", names.join(" -> ")),
        Some(context.place(&context.candidates[way[0]])),
    );
    for index in &way[1..] {
        finding = finding.related(
            context.place(&context.candidates[*index]),
            "reads the next one",
        );
    }
    finding
}

fn catalog(
    workspace: &Workspace,
    context: &Context<'_>,
    owners: &[&DeclaringPackage],
    declaring: &HashSet<&str>,
    databases: Vec<Database>,
    findings: &mut Vec<Finding>,
) -> Catalog {
    let settings = &workspace.settings;
    let sole = match declaring.len() {
        1 => declaring.iter().next().copied(),
        _ => None,
    };
    let name = match (&settings.catalog, sole, workspace.packages.as_slice()) {
        (Some(name), ..) => name.clone(),
        (None, Some(package), _) => package.replace('-', "_").to_lowercase(),
        (None, None, [only]) => only.name.replace('-', "_").to_lowercase(),
        (None, None, _) => {
            if declaring.len() > 1 {
                let mut packages: Vec<_> = declaring.iter().map(|p| format!("`{p}`")).collect();
                packages.sort();
                findings.push(
                    Finding::error(
                        Code::CatalogName,
                        format!(
                            "packages {} declare tables, so the catalog needs a name of its own",
                            packages.join(", ")
                        ),
                        Some(Place::start_of("Cargo.toml")),
                    )
                    .help("add `[workspace.metadata.neurolake]` with `catalog = \"lake\"`")
                    .help("or choose one package with `--package`"),
                );
            }
            "lake".to_owned()
        }
    };
    // The home page shows the docs of the crate; of the one that lends the name, if there are many.
    let home = (0..context.modules.len())
        .filter(|index| context.modules[*index].path.len() == 1)
        .filter(|index| declaring.contains(owners[*index].name.as_str()))
        .min_by_key(|index| {
            let package = owners[*index].name.replace('-', "_");
            (package != name, package, *index)
        });
    let docs = home.map(|index| context.module_docs(index, findings));
    let repository = settings.repository.clone().or_else(|| {
        let package = workspace
            .packages
            .iter()
            .find(|package| declaring.contains(package.name.as_str()))?;
        // A credential in the manifest is not ours to judge, and not ours to publish.
        let repository = package.repository.as_deref();
        let repository = repository.filter(|address| secret::find(address).is_none())?;
        Some(
            repository
                .trim_end_matches('/')
                .trim_end_matches(".git")
                .to_owned(),
        )
    });
    let mut endpoints = Endpoints::default();
    if let Some(http) = &settings.http {
        endpoints.http.clone_from(http);
    }
    endpoints.postgres.clone_from(&settings.postgres);
    endpoints.accounts = settings.accounts;
    Catalog {
        format_version: FORMAT_VERSION,
        name,
        title: settings.title.clone().unwrap_or_default(),
        docs: docs.unwrap_or_default(),
        repository,
        jupyterhub: settings.jupyterhub.clone(),
        endpoints,
        databases,
    }
}
