//! Which packages may declare tables, and from which files to start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};

use super::finding::Finding;
use super::modules::relative;
use super::read::ReadOptions;
use super::settings::Settings;

/// A Cargo workspace, as far as the catalog cares.
#[derive(Debug)]
pub struct Workspace {
    /// Folder of the root manifest.
    pub root: PathBuf,
    /// Where builds go; caches of this tool too.
    pub target: PathBuf,
    /// What the manifests say.
    pub settings: Settings,
    /// Packages that depend on `neurolake`, sorted by name.
    pub packages: Vec<DeclaringPackage>,
    /// The root manifest and those of all members.
    pub manifests: Vec<PathBuf>,
    /// What is wrong with the settings.
    pub findings: Vec<Finding>,
}

/// A package whose source may hold `#[table]`.
#[derive(Debug)]
pub struct DeclaringPackage {
    /// As in its manifest.
    pub name: String,
    /// `repository` of its manifest.
    pub repository: Option<String>,
    /// Folder of its manifest.
    pub folder: PathBuf,
    /// Crate name and root file of each library and binary, libraries first.
    pub roots: Vec<(String, PathBuf)>,
    /// Features that are on.
    pub features: BTreeSet<String>,
}

/// Why the workspace can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// There is no manifest where one was asked for.
    #[error("`{}` does not exist", .0.display())]
    NoManifest(PathBuf),
    /// No manifest in this folder or above it.
    #[error("no `Cargo.toml` in `{}` or any folder above it", .0.display())]
    NoWorkspace(PathBuf),
    /// `cargo metadata` failed.
    #[error("cargo can't read the workspace: {0}")]
    Cargo(String),
    /// A package that was asked for isn't there.
    #[error("no package `{name}` in the workspace")]
    UnknownPackage {
        /// What was asked for.
        name: String,
        /// What would have been there.
        known: Vec<String>,
    },
    /// A feature that was asked for isn't there.
    #[error("no declaring package has the feature `{0}`")]
    UnknownFeature(String),
}

impl Workspace {
    /// Finds the workspace and its declaring packages. Runs `cargo metadata` offline, and no code
    /// of the workspace.
    ///
    /// # Errors
    /// See [`WorkspaceError`].
    pub fn open(options: &ReadOptions) -> Result<Self, WorkspaceError> {
        let manifest = find_manifest(options)?;
        let metadata = MetadataCommand::new()
            .manifest_path(&manifest)
            .no_deps()
            .other_options(vec!["--offline".to_owned()])
            .exec()
            .map_err(|error| WorkspaceError::Cargo(cargo_message(&error)))?;
        // Module files are told apart by their resolved paths, so everything else is resolved too.
        let root = resolved(metadata.workspace_root.as_std_path());
        let members: Vec<&Package> = metadata
            .packages
            .iter()
            .filter(|package| metadata.workspace_members.contains(&package.id))
            .collect();
        for name in &options.packages {
            if !members.iter().any(|package| *package.name == *name) {
                return Err(WorkspaceError::UnknownPackage {
                    name: name.clone(),
                    known: members.iter().map(|p| p.name.to_string()).collect(),
                });
            }
        }
        let mut manifests = vec![root.join("Cargo.toml")];
        manifests.extend(
            members
                .iter()
                .map(|package| resolved(package.manifest_path.as_std_path())),
        );
        let mut findings = Vec::new();
        let mut settings = Settings::default();
        settings.read(
            &metadata.workspace_metadata,
            "Cargo.toml",
            &root,
            &mut findings,
        );
        let mut packages = Vec::new();
        for package in members {
            let chosen = options.packages.is_empty()
                || options.packages.iter().any(|name| *package.name == **name);
            let declares = package.dependencies.iter().any(|dependency| {
                // Tests and build scripts declare nothing that is served.
                dependency.name == "neurolake" && dependency.kind == DependencyKind::Normal
            });
            if !chosen || !declares {
                continue;
            }
            let manifest = relative(&resolved(package.manifest_path.as_std_path()), &root);
            settings.read(&package.metadata, &manifest, &root, &mut findings);
            packages.push(declaring_package(package));
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        for package in &mut packages {
            let all = members_features(&metadata.packages, &package.name);
            let wanted = options.features.iter().chain(&settings.features);
            switch_on(package, &all, wanted.cloned(), options);
        }
        for feature in &options.features {
            if !packages
                .iter()
                .any(|package| package.features.contains(feature))
            {
                return Err(WorkspaceError::UnknownFeature(feature.clone()));
            }
        }
        Ok(Self {
            root,
            target: metadata.target_directory.into_std_path_buf(),
            settings,
            packages,
            manifests,
            findings,
        })
    }
}

fn resolved(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The manifest that the options name, or the nearest one.
///
/// # Errors
/// [`WorkspaceError::NoManifest`], [`WorkspaceError::NoWorkspace`].
pub fn find_manifest(options: &ReadOptions) -> Result<PathBuf, WorkspaceError> {
    if let Some(manifest) = &options.manifest_path {
        let manifest = if manifest.is_dir() {
            manifest.join("Cargo.toml")
        } else {
            manifest.clone()
        };
        if !manifest.is_file() {
            return Err(WorkspaceError::NoManifest(manifest));
        }
        return Ok(manifest);
    }
    let here = std::env::current_dir().map_err(|error| WorkspaceError::Cargo(error.to_string()))?;
    here.ancestors()
        .map(|folder| folder.join("Cargo.toml"))
        .find(|manifest| manifest.is_file())
        .ok_or(WorkspaceError::NoWorkspace(here))
}

fn cargo_message(error: &cargo_metadata::Error) -> String {
    match error {
        cargo_metadata::Error::CargoMetadata { stderr } => {
            stderr.trim().trim_start_matches("error: ").to_owned()
        }
        cargo_metadata::Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "`cargo` is not on the PATH".to_owned()
        }
        other => other.to_string(),
    }
}

type Features = std::collections::BTreeMap<String, Vec<String>>;

fn members_features(packages: &[Package], name: &str) -> Features {
    packages
        .iter()
        .find(|package| *package.name == name)
        .map(|package| package.features.clone().into_iter().collect())
        .unwrap_or_default()
}

fn declaring_package(package: &Package) -> DeclaringPackage {
    let mut roots: Vec<(bool, String, PathBuf)> = package
        .targets
        .iter()
        .filter_map(|target| {
            let is_binary = target.kind.contains(&TargetKind::Bin);
            let is_library = target.kind.iter().any(|kind| {
                matches!(
                    kind,
                    TargetKind::Lib
                        | TargetKind::RLib
                        | TargetKind::DyLib
                        | TargetKind::CDyLib
                        | TargetKind::StaticLib
                )
            });
            (is_binary || is_library).then(|| {
                (
                    is_binary,
                    target.name.replace('-', "_"),
                    resolved(target.src_path.as_std_path()),
                )
            })
        })
        .collect();
    roots.sort();
    let mut folder = resolved(package.manifest_path.as_std_path());
    folder.pop();
    DeclaringPackage {
        name: package.name.to_string(),
        repository: package.repository.clone(),
        folder,
        roots: roots
            .into_iter()
            .map(|(_, name, path)| (name, path))
            .collect(),
        features: BTreeSet::new(),
    }
}

/// Features switch each other on.
fn switch_on(
    package: &mut DeclaringPackage,
    all: &Features,
    wanted: impl Iterator<Item = String>,
    options: &ReadOptions,
) {
    let mut pending: Vec<String> = if options.all_features {
        all.keys().cloned().collect()
    } else {
        wanted.collect()
    };
    if !options.no_default_features {
        pending.push("default".to_owned());
    }
    while let Some(feature) = pending.pop() {
        let Some(implied) = all.get(&feature) else {
            continue;
        };
        if package.features.insert(feature) {
            pending.extend(implied.iter().cloned());
        }
    }
}
