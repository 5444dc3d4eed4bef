//! Follows `mod` from file to file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use neurolake_declare::Code;
use neurolake_declare::diagnostic::Severity;
use rayon::prelude::*;

use super::finding::{Finding, Place, Range};
use super::scan::{self, FileScan, ModuleScan};
use super::workspace::DeclaringPackage;

/// A module of a declaring crate with the file that holds it.
pub(crate) struct Module {
    /// Path, such as `["neurolake_demo", "neural"]`.
    pub(crate) path: Vec<String>,
    pub(crate) file: Arc<str>,
    pub(crate) scan: ModuleRef,
    /// Where the module is declared, for the database's source link.
    pub(crate) line: u32,
    /// Docs on `mod name;` in the parent.
    pub(crate) outer_docs: Option<(String, Arc<str>, Range)>,
    /// Predicates of this module and of all modules around it.
    pub(crate) cfgs: Vec<super::cfg::Predicate>,
    /// Whether it or a module around it is `#[doc(hidden)]`.
    pub(crate) hidden: bool,
}

/// A module inside a scanned file, by the way from the file's root.
#[derive(Clone)]
pub(crate) struct ModuleRef {
    file: Arc<FileScan>,
    way: Vec<usize>,
}

impl ModuleRef {
    pub(crate) fn get(&self) -> &ModuleScan {
        let mut module = &self.file.root;
        for index in &self.way {
            module = &module.modules[*index];
        }
        module
    }
}

/// Scans of files, kept as long as the files don't change.
#[derive(Default)]
pub(crate) struct ScanCache {
    files: HashMap<PathBuf, CachedFile>,
}

struct CachedFile {
    stamp: Option<(u64, SystemTime)>,
    scan: Arc<FileScan>,
    /// The last scan of the file that parsed.
    good: Option<Arc<FileScan>>,
}

/// What following `mod` through one package found.
#[derive(Default)]
pub(crate) struct Followed {
    pub(crate) modules: Vec<Module>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) files: Vec<PathBuf>,
}

struct Pending {
    path: Vec<String>,
    file: PathBuf,
    /// Folder for the files of child modules.
    children: PathBuf,
    cfgs: Vec<super::cfg::Predicate>,
    hidden: bool,
    outer_docs: Option<(String, Arc<str>, Range)>,
    /// Files that led here, to notice a circle.
    ancestors: Vec<PathBuf>,
}

/// Follows all modules of a package.
///
/// `keep_good`: a file that doesn't parse stands in with its last good scan.
pub(crate) fn follow(
    package: &DeclaringPackage,
    root: &Path,
    cache: &mut ScanCache,
    keep_good: bool,
) -> Followed {
    let mut followed = Followed::default();
    let mut level: Vec<Pending> = package
        .roots
        .iter()
        .map(|(name, file)| Pending {
            path: vec![name.clone()],
            file: file.clone(),
            children: parent(file),
            cfgs: Vec::new(),
            hidden: false,
            outer_docs: None,
            ancestors: Vec::new(),
        })
        .collect();
    let mut reported: HashSet<PathBuf> = HashSet::new();
    while !level.is_empty() {
        cache.scan_all(
            level.iter().map(|pending| pending.file.as_path()),
            &mut followed.findings,
            root,
        );
        let mut next = Vec::new();
        for pending in level {
            let Some(cached) = cache.files.get(&pending.file) else {
                continue;
            };
            let file: Arc<str> = relative(&pending.file, root).into();
            if reported.insert(pending.file.clone()) {
                followed.files.push(pending.file.clone());
                let findings = cached.scan.findings.iter();
                followed
                    .findings
                    .extend(findings.map(|finding| finding.in_file(&file)));
            }
            let scan = match &cached.good {
                Some(good) if keep_good => good.clone(),
                _ => cached.scan.clone(),
            };
            let reference = ModuleRef {
                file: scan.clone(),
                way: Vec::new(),
            };
            let mut walk = Walk {
                file,
                pending: &pending,
                scan: &scan,
                next: &mut next,
                followed: &mut followed,
                features: &package.features,
            };
            let mut cfgs = pending.cfgs.clone();
            cfgs.extend(scan.root.cfgs.iter().cloned());
            walk.module(
                &reference,
                pending.path.clone(),
                &pending.children,
                &[],
                Inherited {
                    cfgs,
                    hidden: pending.hidden || scan.root.hidden,
                },
            );
        }
        level = next;
    }
    followed
}

/// What a module takes over from the modules around it.
#[derive(Clone)]
struct Inherited {
    cfgs: Vec<super::cfg::Predicate>,
    hidden: bool,
}

struct Walk<'a> {
    file: Arc<str>,
    pending: &'a Pending,
    scan: &'a Arc<FileScan>,
    next: &'a mut Vec<Pending>,
    followed: &'a mut Followed,
    features: &'a BTreeSet<String>,
}

impl Walk<'_> {
    /// `inline`: names of the inline modules between the file and this module.
    fn module(
        &mut self,
        reference: &ModuleRef,
        path: Vec<String>,
        children: &Path,
        inline: &[String],
        inherited: Inherited,
    ) {
        let scan = reference.get();
        for (index, child) in scan.modules.iter().enumerate() {
            let mut child_path = path.clone();
            child_path.push(child.name.clone());
            let mut child_inherited = inherited.clone();
            child_inherited.cfgs.extend(child.cfgs.iter().cloned());
            child_inherited.hidden |= child.hidden;
            if child.is_external {
                self.external(child, child_path, children, inline, child_inherited);
            } else {
                let mut way = reference.way.clone();
                way.push(index);
                let folder = children.join(child.path.as_deref().unwrap_or(&child.name));
                let mut inline = inline.to_vec();
                inline.push(child.path.clone().unwrap_or_else(|| child.name.clone()));
                let reference = ModuleRef {
                    file: self.scan.clone(),
                    way,
                };
                self.module(&reference, child_path, &folder, &inline, child_inherited);
            }
        }
        let is_file = inline.is_empty();
        self.followed.modules.push(Module {
            path,
            file: self.file.clone(),
            scan: reference.clone(),
            line: if is_file { 1 } else { scan.line },
            outer_docs: if is_file {
                self.pending.outer_docs.clone()
            } else {
                None
            },
            cfgs: inherited.cfgs,
            hidden: inherited.hidden,
        });
    }

    fn external(
        &mut self,
        child: &ModuleScan,
        path: Vec<String>,
        children: &Path,
        inline: &[String],
        inherited: Inherited,
    ) {
        let place = Place::at(self.file.clone(), child.at);
        let candidates = match &child.path {
            // A path counts from the folder of the file, or of the inline modules in it.
            Some(path) if inline.is_empty() => vec![parent(&self.pending.file).join(path)],
            Some(path) => vec![children.join(path)],
            None => vec![
                children.join(format!("{}.rs", child.name)),
                children.join(&child.name).join("mod.rs"),
            ],
        };
        let Some(file) = candidates.iter().find(|file| file.is_file()) else {
            // `#[cfg(windows)] mod windows;` needs no file where it is not compiled.
            let values: Vec<_> = inherited
                .cfgs
                .iter()
                .map(|cfg| cfg.evaluate(self.features))
                .collect();
            if values.contains(&Some(false)) {
                return;
            }
            let severity = if values.contains(&None) {
                Severity::Note
            } else {
                Severity::Error
            };
            let tried: Vec<_> = candidates
                .iter()
                .map(|file| format!("`{}`", short(file, &self.pending.file)))
                .collect();
            self.followed.findings.push(
                Finding::error(
                    Code::MissingModule,
                    format!("file of module `{}` not found", child.name),
                    Some(place),
                )
                .severity(severity)
                .help(format!("looked for {}", tried.join(" and "))),
            );
            return;
        };
        let file = normalize(file);
        if file == self.pending.file || self.pending.ancestors.contains(&file) {
            self.followed.findings.push(
                Finding::error(
                    Code::CircularModules,
                    format!("module `{}` leads back to its own file", child.name),
                    Some(place),
                )
                .help("remove the `mod`, or correct its `#[path]`"),
            );
            return;
        }
        let is_mod_file = file.file_name().is_some_and(|name| name == "mod.rs");
        let children = if is_mod_file || child.path.is_some() {
            parent(&file)
        } else {
            file.with_extension("")
        };
        let mut ancestors = self.pending.ancestors.clone();
        ancestors.push(self.pending.file.clone());
        let outer_docs = (!child.docs.is_empty())
            .then(|| (child.docs.clone(), self.file.clone(), child.docs_at));
        self.next.push(Pending {
            path,
            file,
            children,
            cfgs: inherited.cfgs,
            hidden: inherited.hidden,
            outer_docs,
            ancestors,
        });
    }
}

impl ScanCache {
    /// Scans the files that are new or changed, the largest first, so that both cores end together.
    fn scan_all<'a>(
        &mut self,
        files: impl Iterator<Item = &'a Path>,
        findings: &mut Vec<Finding>,
        root: &Path,
    ) {
        let mut stale: BTreeMap<&Path, Option<(u64, SystemTime)>> = BTreeMap::new();
        for file in files {
            let stamp = std::fs::metadata(file).ok().and_then(|metadata| {
                metadata
                    .modified()
                    .ok()
                    .map(|modified| (metadata.len(), modified))
            });
            let is_fresh = stamp.is_some()
                && self
                    .files
                    .get(file)
                    .is_some_and(|cached| cached.stamp == stamp);
            if !is_fresh {
                stale.insert(file, stamp);
            }
        }
        let mut stale: Vec<_> = stale.into_iter().collect();
        stale.sort_by_key(|(_, stamp)| std::cmp::Reverse(stamp.map_or(0, |(length, _)| length)));
        let scans: Vec<_> = stale
            .into_par_iter()
            .with_max_len(1)
            .map(|(file, stamp)| (file.to_owned(), stamp, read_and_scan(file, stamp, root)))
            .collect();
        for (file, stamp, scanned) in scans {
            let good = self.files.remove(&file).and_then(|cached| cached.good);
            match scanned {
                Ok(scan) => {
                    let scan = Arc::new(scan);
                    let good = if scan.parsed {
                        Some(scan.clone())
                    } else {
                        good
                    };
                    self.files.insert(file, CachedFile { stamp, scan, good });
                }
                Err(finding) => findings.push(*finding),
            }
        }
    }
}

fn read_and_scan(
    file: &Path,
    stamp: Option<(u64, SystemTime)>,
    root: &Path,
) -> Result<FileScan, Box<Finding>> {
    let place = || Some(Place::start_of(relative(file, root)));
    if let Some((length, _)) = stamp
        && length > scan::MAX_FILE_BYTES
    {
        return Err(Box::new(
            Finding::error(
                Code::TooLarge,
                format!(
                    "the file has {} MiB, more than the limit of {}",
                    length >> 20,
                    scan::MAX_FILE_BYTES >> 20
                ),
                place(),
            )
            .help("split it into modules; generated data belongs into a table"),
        ));
    }
    let bytes = std::fs::read(file).map_err(|error| {
        Box::new(Finding::error(
            Code::Unreadable,
            format!("the file can't be read: {error}"),
            place(),
        ))
    })?;
    Ok(scan::scan(&bytes))
}

/// Files of the package's `src` folder that hold `#[table]` and that no module leads to.
pub(crate) fn unreached(
    package: &DeclaringPackage,
    files: &[PathBuf],
    root: &Path,
) -> Vec<Finding> {
    let reached: HashSet<&Path> = files.iter().map(PathBuf::as_path).collect();
    let mut findings = Vec::new();
    let walk = walkdir::WalkDir::new(package.folder.join("src")).sort_by_file_name();
    for entry in walk.into_iter().flatten() {
        let path = entry.path();
        let is_source = entry.file_type().is_file()
            && path.extension().is_some_and(|extension| extension == "rs")
            && !reached.contains(path)
            && !reached.contains(normalize(path).as_path());
        let is_small = entry
            .metadata()
            .is_ok_and(|metadata| metadata.len() <= scan::MAX_FILE_BYTES);
        if !is_source || !is_small {
            continue;
        }
        let Ok(bytes) = std::fs::read(path) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().position(|line| {
            let line = line.trim_start();
            line.starts_with("#[table") || line.starts_with("#[neurolake::table")
        });
        let Some(line) = line else { continue };
        let line = u32::try_from(line + 1).unwrap_or(u32::MAX);
        let range = Range {
            line,
            column: 1,
            end_line: line,
            end_column: 1,
        };
        findings.push(
            Finding::error(
                Code::Unreached,
                "no module leads to this file, so its tables are not in the catalog",
                Some(Place::at(relative(path, root), range)),
            )
            .severity(Severity::Warning)
            .help("add a `mod` line to its parent module, or delete the file"),
        );
    }
    findings
}

fn parent(file: &Path) -> PathBuf {
    file.parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Resolves `..` and links, so that one file has one name.
fn normalize(file: &Path) -> PathBuf {
    std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn short(file: &Path, from: &Path) -> String {
    let base = parent(from);
    file.strip_prefix(&base)
        .unwrap_or(file)
        .to_string_lossy()
        .replace('\\', "/")
}

/// The path from the workspace root, with `/`; a file outside of it begins with `..`.
pub(crate) fn relative(file: &Path, root: &Path) -> String {
    let mut base = root;
    let mut up = String::new();
    loop {
        if let Ok(rest) = file.strip_prefix(base) {
            return up + &rest.to_string_lossy().replace('\\', "/");
        }
        match base.parent() {
            Some(parent) => base = parent,
            None => return file.to_string_lossy().replace('\\', "/"),
        }
        up.push_str("../");
    }
}
