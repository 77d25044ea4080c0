//! `faas-flow push` and `faas-flow modules …`: manage the versions of a flow on a server over HTTP.

pub(super) mod show;

use super::client::{self, Asked, Client, Said, Target};
use super::sign::read_signature;
use crate::Error;
use clap::{Args, Subcommand};
use faas_flow_core::Digest;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Push {
    /// Module of the new version, as the compiler wrote it
    module: PathBuf,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    said: Said,
    /// Store the version without activating it
    #[arg(long)]
    no_activate: bool,
    /// Start only this share of new runs on the version, for example 5%
    #[arg(long, value_name = "SHARE", conflicts_with = "no_activate")]
    canary: Option<String>,
    #[command(flatten)]
    limit: Limit,
    /// Accept the version even if gc has removed it before
    #[arg(long)]
    again: bool,
    /// File with the module's signature [default: the module's name with .sig, if that file exists]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

/// The rule by which a canary is withdrawn.
#[derive(Args)]
struct Limit {
    /// Withdraw the canary when more than this share of its latest runs have failed [default: 5%]
    #[arg(long, value_name = "SHARE", requires = "canary")]
    max_failures: Option<String>,
    /// Number of latest runs for --max-failures, which also applies while there are fewer [default: 100]
    #[arg(long, value_name = "RUNS", requires = "canary")]
    over: Option<u32>,
}

impl Limit {
    fn query(&self, canary: Option<&String>) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        if let Some(share) = canary {
            query.push(("canary", share.clone()));
        }
        if let Some(share) = &self.max_failures {
            query.push(("max-failures", share.clone()));
        }
        if let Some(over) = self.over {
            query.push(("over", over.to_string()));
        }
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
    /// List the versions of a flow, and which one is active
    List {
        #[command(flatten)]
        target: Target,
        /// Count the runs in flight of each version; this reads the list of all runs
        #[arg(long)]
        runs: bool,
    },
    /// Show one version
    Show {
        #[command(flatten)]
        version: Of,
        #[command(flatten)]
        target: Target,
    },
    /// Store a new version on a server and activate it; same as faas-flow push
    Push(Push),
    /// Activate a stored version, or start it as a canary
    Activate {
        #[command(flatten)]
        version: Of,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        said: Said,
        /// Start only this share of new runs on the version, for example 5%
        #[arg(long, value_name = "SHARE")]
        canary: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Activate the version that was active before
    Rollback(Change),
    /// Activate the canary
    Promote(Change),
    /// Withdraw the canary
    Withdraw(Change),
    /// Download the module of a version
    Pull {
        #[command(flatten)]
        version: Of,
        #[command(flatten)]
        target: Target,
        /// Output file
        #[arg(long, short, value_name = "FILE", default_value = "flow.wasm")]
        out: PathBuf,
    },
    /// Remove the modules of versions that are no longer needed
    Gc {
        #[command(flatten)]
        target: Target,
        /// Number of previously active versions to keep
        #[arg(long, default_value_t = 3)]
        keep: usize,
        /// Keep versions that were pushed or active within this time; at least 5s
        #[arg(long, value_name = "TIME", default_value = "10m")]
        recent: String,
        /// Show what would be removed without removing it
        #[arg(long)]
        dry_run: bool,
    },
}

/// Selects a version.
#[derive(Args)]
struct Of {
    /// Digest of the version's module, or at least its first 8 digits
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
        let bytes = faas_flow_versions::read_module(&self.module).await?;
        let signature = signature(&self.module, self.signature.as_deref())?;
        let client = Client::new(self.target)?;
        let digest = Digest::of(&bytes);
        // The active version now. If somebody activates another one in the meantime, this must not undo that.
        let before = client.get("modules", &[]).await?;
        let mut query = self.said.query();
        if self.again {
            query.push(("again", "true".to_owned()));
        }
        client.say(format!("pushing {} ({} bytes)", digest.short(), bytes.len()));
        let push = Asked::new("PUT", &format!("modules/{digest}")).with_query(&query);
        let pushed = client.ask(push.with_module(bytes, signature)).await?;
        if self.no_activate {
            return client.done(&pushed, || show::pushed(&pushed));
        }
        let mut query = self.said.query();
        query.extend(self.limit.query(self.canary.as_ref()));
        if let Some(revision) = before.get("revision") {
            query.push(("revision", revision.to_string()));
        }
        let active = client.post(&format!("modules/{digest}/activate"), &query).await?;
        client.done(&active, || format!("{}{}", show::pushed(&pushed), show::activated(&active)))
    }
}

/// The signature in the named file, or in the one next to the module, if there is one.
pub(super) fn signature(module: &Path, named: Option<&Path>) -> Result<Option<String>, Error> {
    let beside = || {
        let mut name = module.to_owned().into_os_string();
        name.push(".sig");
        Some(PathBuf::from(name)).filter(|file| file.exists())
    };
    let Some(file) = named.map(Path::to_owned).or_else(beside) else { return Ok(None) };
    Ok(Some(read_signature(&file)?.trim_start_matches('\u{feff}').trim().to_owned()))
}

impl Modules {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        match self.what {
            What::List { target, runs } => {
                let client = Client::new(target)?;
                let query = if runs { vec![("runs", "true".to_owned())] } else { Vec::new() };
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
                query.extend(limit.query(canary.as_ref()));
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
                client.done(&written, || {
                    format!("wrote {} to {} ({} bytes)\n", digest.short(), out.display(), bytes.len())
                })
            }
            What::Gc { target, keep, recent, dry_run } => {
                let client = Client::new(target)?;
                let query = [("keep", keep.to_string()), ("recent", recent), ("dry-run", dry_run.to_string())];
                let collected = client.post("modules/gc", &query).await?;
                client.done(&collected, || {
                    show::collected(&collected, if dry_run { "would be removed" } else { "removed" })
                })
            }
        }
    }
}

async fn change(target: Target, path: &str, query: Vec<(&'static str, String)>) -> Result<ExitCode, Error> {
    let client = Client::new(target)?;
    let active: Value = client.post(path, &query).await?;
    client.done(&active, || show::activated(&active))
}

/// Writes a file atomically.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::OutputUnwritable { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
