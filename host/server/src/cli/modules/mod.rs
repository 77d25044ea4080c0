//! `faas-flow push` and `faas-flow modules …`: the versions of a flow on a server, over HTTP.

pub(super) mod client;
pub(super) mod show;

use crate::Error;
use clap::{Args, Subcommand};
use client::{Client, Said, Target};
use faas_flow_core::{Code, Digest};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Push {
    /// The module: what `cargo build` or another compiler made
    module: PathBuf,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    said: Said,
    /// Store it, but let new runs begin with the active version as before
    #[arg(long)]
    no_activate: bool,
    /// Let this share of the new runs begin with it: 5%
    #[arg(long, value_name = "SHARE", conflicts_with = "no_activate")]
    canary: Option<String>,
    #[command(flatten)]
    limit: Limit,
    /// Take it even if `gc` has removed it before
    #[arg(long)]
    again: bool,
    /// The file of its signature [default: the module's, with .sig, if there is one]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

/// When a canary is withdrawn.
#[derive(Args)]
struct Limit {
    /// Withdraw the canary when more than this share of its last runs failed [default: 5%]
    #[arg(long, value_name = "SHARE", requires = "canary")]
    max_failures: Option<String>,
    /// Look at so many of its last runs; fewer count as so many [default: 100]
    #[arg(long, value_name = "RUNS", requires = "canary")]
    over: Option<u32>,
}

impl Limit {
    fn query(&self, canary: &Option<String>) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        query.extend(canary.iter().map(|share| ("canary", share.clone())));
        query.extend(self.max_failures.iter().map(|share| ("max-failures", share.clone())));
        query.extend(self.over.map(|over| ("over", over.to_string())));
        query
    }
}

#[derive(Args)]
pub(super) struct Modules {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Lists the versions of a flow, and which is in service
    List {
        #[command(flatten)]
        target: Target,
        /// Count the runs in flight that are pinned to each: it reads the list of all runs
        #[arg(long)]
        runs: bool,
    },
    /// Shows one version
    Show {
        #[command(flatten)]
        version: Of,
        #[command(flatten)]
        target: Target,
    },
    /// Stores a new version on a server and puts it into service, as `faas-flow push` does
    Push(Push),
    /// Puts a version into service that the server has, or lets a share of the new runs try it
    Activate {
        #[command(flatten)]
        version: Of,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        said: Said,
        /// Let only this share of the new runs begin with it: 5%
        #[arg(long, value_name = "SHARE")]
        canary: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Goes back to the version that was in service before
    Rollback(Change),
    /// Puts the canary into service
    Promote(Change),
    /// Takes the canary back
    Withdraw(Change),
    /// Fetches a version's module
    Pull {
        #[command(flatten)]
        version: Of,
        #[command(flatten)]
        target: Target,
        /// Where to write it
        #[arg(long, short, value_name = "FILE", default_value = "flow.wasm")]
        out: PathBuf,
    },
    /// Removes the modules of versions that nothing needs any more
    Gc {
        #[command(flatten)]
        target: Target,
        /// Keep so many that were in service before the active one
        #[arg(long, default_value_t = 3)]
        keep: usize,
        /// Keep what was pushed or in service within this time; 5s at least
        #[arg(long, value_name = "TIME", default_value = "10m")]
        recent: String,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which version.
#[derive(Args)]
struct Of {
    /// The sha256 of the version's module, or at least its first 8 digits
    #[arg(value_name = "VERSION")]
    digits: String,
}

#[derive(Args)]
struct Change {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    said: Said,
}

impl Push {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let bytes = crate::versions::read_module(&self.module).await?;
        let signature = signature(&self.module, self.signature.as_deref())?;
        let client = Client::new(self.target)?;
        let digest = Digest::of(&bytes);
        // What is in service now: should somebody change that in the meantime, this must not undo it.
        let before = client.get("modules", &[]).await?;
        let mut query = self.said.query();
        query.extend(self.again.then(|| ("again", "true".to_owned())));
        let headers = client::signed(signature);
        client.say(format!("pushes {} ({} bytes)", digest.short(), bytes.len()));
        let pushed = client.ask("PUT", &format!("modules/{digest}"), &query, headers, bytes).await?;
        if self.no_activate {
            return client.done(&pushed, || show::pushed(&pushed));
        }
        let mut query = self.said.query();
        query.extend(self.limit.query(&self.canary));
        query.extend(before.get("revision").map(|revision| ("revision", revision.to_string())));
        let active = client.post(&format!("modules/{digest}/activate"), &query).await?;
        client.done(&active, || format!("{}{}", show::pushed(&pushed), show::in_service(&active)))
    }
}

/// The line in the module's signature file: the one that is named, or the one beside it, if there is one.
pub(super) fn signature(module: &Path, named: Option<&Path>) -> Result<Option<String>, Error> {
    let beside = || {
        let mut name = module.to_owned().into_os_string();
        name.push(".sig");
        Some(PathBuf::from(name)).filter(|file| file.exists())
    };
    let Some(file) = named.map(Path::to_owned).or_else(beside) else { return Ok(None) };
    let unreadable = |error: std::io::Error| {
        Error::new(Code::INPUT_UNREADABLE, format!("cannot read the signature {}: {error}", file.display()))
    };
    let text = std::fs::read_to_string(&file).map_err(unreadable)?;
    Ok(Some(text.trim().to_owned()))
}

impl Modules {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        match self.what {
            What::List { target, runs } => {
                let client = Client::new(target)?;
                let query: Vec<_> = runs.then(|| ("runs", "true".to_owned())).into_iter().collect();
                let listed = client.get("modules", &query).await?;
                client.done(&listed, || show::list(&listed))
            }
            What::Show { version, target } => {
                let client = Client::new(target)?;
                let version = client.get(&format!("modules/{}", client::part(&version.digits)), &[]).await?;
                client.done(&version, || show::version(&version))
            }
            What::Push(push) => push.run().await,
            What::Activate { version, target, said, canary, limit } => {
                let mut query = said.query();
                query.extend(limit.query(&canary));
                change(target, &format!("modules/{}/activate", client::part(&version.digits)), query).await
            }
            What::Rollback(Change { target, said }) => change(target, "modules/rollback", said.query()).await,
            What::Promote(Change { target, said }) => change(target, "modules/promote", said.query()).await,
            What::Withdraw(Change { target, said }) => change(target, "modules/withdraw", said.query()).await,
            What::Pull { version, target, out } => {
                let client = Client::new(target)?;
                let digest = client.digest(&version.digits).await?;
                let bytes = client.module(&digest).await?;
                write(&out, &bytes)?;
                let written = serde_json::json!({ "digest": digest, "size": bytes.len(), "file": out });
                client.done(&written, || format!("{} has {} ({} bytes)\n", out.display(), digest.short(), bytes.len()))
            }
            What::Gc { target, keep, recent, dry_run } => {
                let client = Client::new(target)?;
                let query = [("keep", keep.to_string()), ("recent", recent), ("dry-run", dry_run.to_string())].to_vec();
                let collected = client.post("modules/gc", &query).await?;
                client.done(&collected, || show::collected(&collected, dry_run))
            }
        }
    }
}

async fn change(target: Target, path: &str, query: Vec<(&'static str, String)>) -> Result<ExitCode, Error> {
    let client = Client::new(target)?;
    let active: Value = client.post(path, &query).await?;
    client.done(&active, || show::in_service(&active))
}

/// Writes a file whole, or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed =
        |error: std::io::Error| Error::new(Code::INPUT_UNREADABLE, format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
