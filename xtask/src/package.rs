//! What a release publishes, made here: an archive of the program for this machine, its bill of materials, the chart, the
//! crates, and the checksums of all of them.

use crate::licences;
use crate::metadata::Metadata;
use crate::place::Place;
use crate::release;
use crate::run::{Run as _, program};
use crate::setup;
use crate::tool::{CARGO_CYCLONEDX, HELM};
use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package of the program.
const HOST: &str = "faas-flow-host";
/// The program.
const PROGRAM: &str = "faas-flow";
/// The manifest of its package.
const MANIFEST: &str = "host/server/Cargo.toml";
/// The documents that every archive of the program has.
const DOCUMENTS: [&str; 3] = ["LICENSE", "README.md", "CHANGELOG.md"];
/// The shells for which every archive has completions, each with the name that the shell expects of the file.
const COMPLETIONS: [(&str, &str); 3] = [("bash", "faas-flow"), ("zsh", "_faas-flow"), ("fish", "faas-flow.fish")];

/// What to make, of what, and where.
#[derive(clap::Args)]
pub struct Options {
    /// Make only this; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Package this program instead of the one that `cargo xtask release` builds
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// The folder to write to, which is emptied first [default: dist in the target folder]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// One part of a release.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The program for this machine, in an archive with its licences, and its bill of materials
    Program,
    /// The Helm chart
    Chart,
    /// Every crate that may be published
    Crates,
}

/// Makes the parts, and returns the folder that they are in.
pub fn build(place: &Place, options: &Options) -> Result<PathBuf> {
    setup::for_package(place)?;
    let out = std::path::absolute(options.out.clone().unwrap_or_else(|| place.target.join("dist")))?;
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot clear {}", out.display()))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let metadata = Metadata::read(place)?;
    let version = &metadata.package(HOST).with_context(|| format!("there is no package {HOST}"))?.version;
    let is_wanted = |part| options.only.is_empty() || options.only.contains(&part);
    if is_wanted(Part::Program) {
        let built = match &options.program {
            Some(program) => std::path::absolute(program)?,
            None => release::build(place)?,
        };
        Archive::new(place, version)?.write(&built, &out)?;
    }
    if is_wanted(Part::Chart) {
        chart(place, version, &out)?;
    }
    if is_wanted(Part::Crates) {
        for file in crates(place)? {
            let name = file.file_name().context("a crate without a name")?;
            fs::copy(&file, out.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
        }
    }
    write_checksums(&out)?;
    Ok(out)
}

/// Packages every crate that may be published, builds each from its package alone, and returns the packages.
pub fn crates(place: &Place) -> Result<Vec<PathBuf>> {
    let metadata = Metadata::read(place)?;
    let crates: Vec<_> = metadata.packages().iter().filter(|package| package.is_publishable()).collect();
    if crates.is_empty() {
        eprintln!("no crate of the workspace may be published");
        return Ok(Vec::new());
    }
    let mut cargo = place.cargo("package");
    cargo.args(["--quiet", "--locked"]);
    for package in &crates {
        cargo.args(["--package", &package.name]);
    }
    // Uncommitted changes are allowed, so that CI and contributors can check them. `cargo publish` refuses them.
    cargo.arg("--allow-dirty").must("packaging the crates")?;
    let file = |name: &str, version: &str| place.target.join("package").join(format!("{name}-{version}.crate"));
    Ok(crates.iter().map(|package| file(&package.name, &package.version)).collect())
}

/// Packages the chart, with the version of the program that it installs.
fn chart(place: &Place, version: &str, out: &Path) -> Result<()> {
    let mut helm = HELM.command(place);
    helm.current_dir(&place.root).args(["package", "deploy/chart", "--app-version", version, "--destination"]);
    helm.arg(out).stdout(Stdio::null()).must("packaging the chart")
}

/// The archive of the program for one kind of machine.
struct Archive<'a> {
    place: &'a Place,
    /// The machine, as Rust names it.
    machine: String,
    /// The name of the archive and of the folder in it.
    name: String,
    /// When the commit was made, in seconds since the Unix epoch: the time of every file, so that an archive of the same
    /// program is the same archive.
    time: u64,
}

impl<'a> Archive<'a> {
    fn new(place: &'a Place, version: &str) -> Result<Self> {
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
        let machine = program(&rustc, &["--print", "host-tuple"]).quiet().context("`rustc --print` failed")?;
        let mut git = program("git", &["log", "-1", "--format=%ct"]);
        let time = git.current_dir(&place.root).quiet().context("`git log` failed")?.parse()?;
        let name = format!("{PROGRAM}-{version}-{machine}");
        Ok(Self { place, machine, name, time })
    }

    /// Writes `NAME.tar.gz` and `NAME.cdx.json` into a folder.
    fn write(&self, built: &Path, out: &Path) -> Result<()> {
        ensure!(built.is_file(), "there is no program {}", built.display());
        let work = self.place.target.join("archive");
        if work.exists() {
            fs::remove_dir_all(&work).with_context(|| format!("cannot clear {}", work.display()))?;
        }
        fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
        let stripped = work.join(PROGRAM);
        program("strip", &["-o"]).arg(&stripped).arg(built).must("stripping the program")?;
        let licences = work.join("THIRD-PARTY.md");
        let list = licences::list(self.place, HOST, &self.machine)?;
        fs::write(&licences, list).with_context(|| format!("cannot write {}", licences.display()))?;

        let path = out.join(format!("{}.tar.gz", self.name));
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::best()));
        self.append(&mut archive, &stripped, 0o755)?;
        self.append(&mut archive, &licences, 0o644)?;
        for document in DOCUMENTS {
            self.append(&mut archive, &self.place.root.join(document), 0o644)?;
        }
        for file in shell_files(&stripped, &work)? {
            self.append_as(&mut archive, file.strip_prefix(&work)?, &file, 0o644)?;
        }
        archive.into_inner()?.finish()?.sync_all()?;
        self.list_materials(&work, &out.join(format!("{}.cdx.json", self.name)))
    }

    fn append(&self, archive: &mut tar::Builder<GzEncoder<File>>, file: &Path, mode: u32) -> Result<()> {
        let name = file.file_name().context("a file without a name")?;
        self.append_as(archive, Path::new(name), file, mode)
    }

    fn append_as(
        &self,
        archive: &mut tar::Builder<GzEncoder<File>>,
        name: &Path,
        file: &Path,
        mode: u32,
    ) -> Result<()> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len().try_into()?);
        header.set_mode(mode);
        header.set_mtime(self.time);
        Ok(archive.append_data(&mut header, Path::new(&self.name).join(name), bytes.as_slice())?)
    }

    /// Writes the bill of materials, in CycloneDX's JSON.
    fn list_materials(&self, work: &Path, to: &Path) -> Result<()> {
        // The tool writes a file beside the manifest of every package in the workspace, so it is given a copy of it.
        let source = work.join("source");
        fs::create_dir_all(&source).with_context(|| format!("cannot create {}", source.display()))?;
        let mut git = Command::new("git");
        git.current_dir(&self.place.root).args(["archive", "--format=tar", "HEAD"]).stderr(Stdio::inherit());
        let commit = git.output().context("cannot start git")?;
        ensure!(commit.status.success(), "`git archive` failed");
        tar::Archive::new(commit.stdout.as_slice()).unpack(&source)?;
        let mut cyclonedx = CARGO_CYCLONEDX.command(self.place);
        cyclonedx.env("SOURCE_DATE_EPOCH", self.time.to_string()).current_dir(&source);
        cyclonedx.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--describe", "binaries"]);
        cyclonedx.args(["--target", &self.machine, "--manifest-path", MANIFEST]).must("listing the materials")?;
        let listed = source.join(MANIFEST).with_file_name(format!("{PROGRAM}_bin.cdx.json"));
        let text = fs::read_to_string(&listed).with_context(|| format!("cannot read {}", listed.display()))?;
        // Crates of the workspace are named by their folder: not by where it lay on the machine that listed it.
        let text = text.replace(&format!("path+file://{}/", source.display()), "path+file:///");
        fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
    }
}

/// Has the program write its completions into `completions/SHELL` and its manual pages into `man/man1`; returns all of them, in
/// order.
fn shell_files(built: &Path, work: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (shell, name) in COMPLETIONS {
        let output = Command::new(built).args(["completions", shell]).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot start {}", built.display()))?;
        ensure!(output.status.success(), "`{PROGRAM} completions {shell}` failed");
        let file = work.join("completions").join(shell).join(name);
        fs::create_dir_all(file.parent().context("a file without a folder")?)?;
        fs::write(&file, output.stdout).with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    let pages = work.join("man/man1");
    Command::new(built).arg("man").arg(&pages).must("writing the manual pages")?;
    for page in pages.read_dir().with_context(|| format!("cannot list {}", pages.display()))? {
        files.push(page?.path());
    }
    files.sort();
    Ok(files)
}

/// Writes `SHA256SUMS`, as `sha256sum --check` reads it, over all files of a folder.
fn write_checksums(folder: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        lines.push((name, Sha256::digest(&bytes)));
    }
    lines.sort();
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text: String = lines.iter().map(|(name, digest)| format!("{}  {name}\n", hex(digest))).collect();
    let path = folder.join("SHA256SUMS");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
