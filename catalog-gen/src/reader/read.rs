//! The door: open a workspace once, read it as often as it changes.

use std::path::PathBuf;

use neurolake_declare::diagnostic::Severity;
use neurolake_model::Catalog;
use neurolake_model::declaration::DeclaredTable;

use super::assemble;
use super::finding::Finding;
use super::modules::{self, ScanCache};
use super::workspace::{Workspace, WorkspaceError};

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// A manifest or its folder. `None`: found from the current folder upwards.
    pub manifest_path: Option<PathBuf>,
    /// Only these packages. Empty: every package that depends on `neurolake`.
    pub packages: Vec<String>,
    /// Features that are on besides the default ones.
    pub features: Vec<String>,
    /// Every feature is on.
    pub all_features: bool,
    /// The default features are off.
    pub no_default_features: bool,
    /// Also give [`Reading::declared`], which takes as much memory as the catalog.
    pub declared: bool,
}

/// Reads a workspace, remembering files that didn't change.
pub struct Reader {
    options: ReadOptions,
    workspace: Workspace,
    cache: ScanCache,
}

/// What a workspace declares.
#[derive(Debug)]
pub struct Reading {
    /// Every table without an error of its own.
    pub catalog: Catalog,
    /// Everything found, sorted by place.
    pub findings: Vec<Finding>,
    /// The same tables as the macro registers them; empty unless the options ask for them.
    pub declared: Vec<DeclaredTable>,
    /// All source files that were followed.
    pub files: Vec<PathBuf>,
}

impl Reading {
    /// Whether nothing of severity error was found.
    pub fn is_good(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity < Severity::Error)
    }
}

impl Reader {
    /// Finds the workspace.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn open(options: ReadOptions) -> Result<Self, WorkspaceError> {
        Ok(Self {
            workspace: Workspace::open(&options)?,
            options,
            cache: ScanCache::default(),
        })
    }

    /// Reads the manifests again, keeping the scans of unchanged files.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn reopen(&mut self) -> Result<(), WorkspaceError> {
        self.workspace = Workspace::open(&self.options)?;
        Ok(())
    }

    /// Drops what it remembers of files, for whoever reads once and needs the memory.
    pub fn forget(&mut self) {
        self.cache = ScanCache::default();
    }

    /// The workspace.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Reads everything. `keep_good`: a file that doesn't parse at the moment stands in with its
    /// last good state, for a preview while somebody types.
    pub fn read(&mut self, keep_good: bool) -> Reading {
        let root = self.workspace.root.clone();
        let mut findings = self.workspace.findings.clone();
        let mut packages = Vec::new();
        let mut files = Vec::new();
        for package in &self.workspace.packages {
            let followed = modules::follow(package, &root, &mut self.cache, keep_good);
            findings.extend(followed.findings);
            findings.extend(modules::unreached(package, &followed.files, &root));
            files.extend(followed.files);
            packages.push((package, followed.modules));
        }
        let assembled = assemble::assemble(
            &self.workspace,
            packages,
            self.options.declared,
            &mut findings,
        );
        for finding in &mut findings {
            finding.redact();
        }
        findings
            .sort_by(|a, b| (&a.place, a.code, &a.message).cmp(&(&b.place, b.code, &b.message)));
        findings.dedup();
        files.sort();
        files.dedup();
        Reading {
            catalog: assembled.catalog,
            declared: assembled.declared,
            findings,
            files,
        }
    }
}
