//! Rust paths to items, as far as declarations need it: modules, `use`, globs, `crate`, `self`,
//! `super`. No trait, no macro, no generic is looked at.

use std::collections::HashMap;

use super::modules::Module;

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entity {
    /// Index into the tables.
    Table(usize),
    /// Index of the module and of the struct in it.
    Columns(usize, usize),
    /// Index of a module.
    Module(usize),
    /// Some other item.
    Other,
}

/// Names of all modules of all declaring crates.
pub(crate) struct Names<'a> {
    modules: &'a [Module],
    by_path: HashMap<&'a [String], usize>,
    items: Vec<HashMap<&'a str, Entity>>,
}

/// Deeper chains of `use` are circles.
const MAX_DEPTH: usize = 16;

impl<'a> Names<'a> {
    /// `tables`: for each table, its module and the name of its item.
    pub(crate) fn new(
        modules: &'a [Module],
        tables: impl Iterator<Item = (usize, &'a str)>,
    ) -> Self {
        let mut by_path = HashMap::with_capacity(modules.len());
        let mut items: Vec<HashMap<&str, Entity>> = Vec::with_capacity(modules.len());
        for (index, module) in modules.iter().enumerate() {
            by_path.entry(module.path.as_slice()).or_insert(index);
            let scan = module.scan.get();
            let mut names = HashMap::new();
            names.extend(
                scan.others
                    .iter()
                    .map(|name| (name.as_str(), Entity::Other)),
            );
            names.extend(scan.columns.iter().enumerate().map(|(at, columns)| {
                (
                    columns.declaration.item.as_str(),
                    Entity::Columns(index, at),
                )
            }));
            items.push(names);
        }
        for (index, (module, item)) in tables.enumerate() {
            items[module].insert(item, Entity::Table(index));
        }
        Self {
            modules,
            by_path,
            items,
        }
    }

    /// Follows a path as written in a module.
    pub(crate) fn resolve(&self, module: usize, path: &str) -> Option<Entity> {
        let segments: Vec<&str> = path
            .trim_start_matches("::")
            .split("::")
            .map(|segment| segment.trim().trim_start_matches("r#"))
            .collect();
        self.follow(module, &segments, 0)
    }

    /// Names of all items in scope of a module that `wanted` accepts, for suggestions.
    pub(crate) fn in_scope(&self, module: usize, wanted: fn(Entity) -> bool) -> Vec<&str> {
        let mut names: Vec<&str> = self.items[module]
            .iter()
            .filter(|(_, entity)| wanted(**entity))
            .map(|(name, _)| *name)
            .collect();
        let uses = self.modules[module].scan.get().uses.iter();
        names.extend(uses.map(|import| import.alias.as_str()));
        names.sort_unstable();
        names
    }

    fn follow(&self, module: usize, path: &[&str], depth: usize) -> Option<Entity> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let entity = match *first {
            "crate" => Entity::Module(self.find(&self.modules[module].path[..1])?),
            "self" => Entity::Module(module),
            "super" => self.parent(module)?,
            name => self
                .lookup(module, name, depth)
                .or_else(|| self.find(&[name.to_owned()]).map(Entity::Module))?,
        };
        self.descend(entity, rest, depth)
    }

    /// The rest of a path, from where its first segment leads.
    fn descend(&self, entity: Entity, rest: &[&str], depth: usize) -> Option<Entity> {
        let mut entity = entity;
        for segment in rest {
            let Entity::Module(module) = entity else {
                return None;
            };
            entity = if *segment == "super" {
                self.parent(module)?
            } else {
                self.lookup(module, segment, depth + 1)?
            };
        }
        Some(entity)
    }

    fn lookup(&self, module: usize, name: &str, depth: usize) -> Option<Entity> {
        if depth > MAX_DEPTH {
            return None;
        }
        if let Some(entity) = self.items[module].get(name) {
            return Some(*entity);
        }
        let mut child = self.modules[module].path.clone();
        child.push(name.to_owned());
        if let Some(index) = self.find(&child) {
            return Some(Entity::Module(index));
        }
        let scan = self.modules[module].scan.get();
        for import in scan.uses.iter().filter(|import| import.alias == name) {
            let path: Vec<&str> = import.path.iter().map(String::as_str).collect();
            // `use table;` inside a module named `table` would otherwise ask itself.
            if path.len() == 1 && path[0] == name {
                continue;
            }
            if let Some(entity) = self.follow(module, &path, depth + 1) {
                return Some(entity);
            }
        }
        // Globs are followed from outside too: `pub use spikes::*` re-exports.
        for glob in &scan.globs {
            let path: Vec<&str> = glob.iter().map(String::as_str).collect();
            if let Some(Entity::Module(target)) = self.follow(module, &path, depth + 1)
                && target != module
                && let Some(entity) = self.lookup(target, name, depth + 1)
            {
                return Some(entity);
            }
        }
        None
    }

    /// The module around a module.
    fn parent(&self, module: usize) -> Option<Entity> {
        let (_, path) = self.modules[module].path.split_last()?;
        self.find(path).map(Entity::Module)
    }

    fn find(&self, path: &[String]) -> Option<usize> {
        self.by_path.get(path).copied()
    }
}
