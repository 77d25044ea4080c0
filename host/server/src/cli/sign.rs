//! `faas-flow keygen`, `sign` and `verify`: docs/signing.md.

use super::host::{ModuleKeys, guests_of};
use super::output::{print, print_json};
use crate::Error;
use crate::config::Options;
use clap::Args;
use faas_flow_core::FlowName;
use faas_flow_versions::signature::{PrivateKey, Signature, Statement, Trusted, beside};
use faas_flow_versions::{Artifact, compile, read_module, verify};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Keygen {
    /// Name of the files: NAME.key for the private key, NAME.pub for the public key
    name: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Keygen {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let with = |kind: &str| {
            let mut name = self.name.as_os_str().to_owned();
            name.push(kind);
            PathBuf::from(name)
        };
        let private = with(".key");
        let public = with(".pub");
        let key = PrivateKey::generate()?;
        key.write(&private, &public)?;
        let id = key.id().to_string();
        if self.json {
            print_json(&json!({ "key": id, "private": private, "public": public }))?;
        } else {
            print(format!("key {id}\n"));
            eprintln!("wrote the private key {}: keep it secret", private.display());
            eprintln!("wrote the public key {}, for module_keys", public.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(super) struct Sign {
    /// Module
    module: PathBuf,
    /// Private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Name of the flow that the module may be deployed as
    #[arg(long, value_name = "NAME")]
    flow: String,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

impl Sign {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let flow = FlowName::new(self.flow)?;
        let key = PrivateKey::read(&self.key)?;
        if PrivateKey::is_exposed(&self.key) {
            let file = self.key.display();
            eprintln!("warning: other users can read {file}: run `chmod 600 {file}`");
        }
        let module = compile(guests_of(self.guest)?, &Artifact::new(read_module(&self.module).await?, None)).await?;
        let digest = module.digest();
        let wit = module.wit_version();
        let signature = Statement { digest, flow: &flow, wit }.sign(&key)?;
        let file = beside(&self.module);
        std::fs::write(&file, format!("{signature}\n"))
            .map_err(|source| Error::OutputUnwritable { path: file.clone(), source })?;
        if self.json {
            print_json(&json!({
                "digest": digest, "flow": flow, "wit": wit, "key": key.id().to_string(),
                "signature": signature.to_string(), "file": file,
            }))?;
        } else {
            print(format!("{signature}\n"));
            eprintln!("wrote {}", file.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(super) struct Verify {
    /// Module
    module: PathBuf,
    /// Public keys, any of which may have signed the module
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    keys: Vec<PathBuf>,
    /// Name of the flow that the module is to be deployed as
    #[arg(long, value_name = "NAME")]
    flow: String,
    /// File with the signature [default: the module's name with .sig]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    guest: Options<ModuleKeys>,
}

impl Verify {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let json = self.json;
        match self.verified().await {
            Err(error) if json => {
                let problem = json!({ "code": error.code(), "message": error.to_string() });
                print_json(&json!({ "valid": false, "problems": [problem] }))?;
                Ok(ExitCode::FAILURE)
            }
            other => other,
        }
    }

    async fn verified(self) -> Result<ExitCode, Error> {
        let flow = FlowName::new(self.flow)?;
        let trusted = Trusted::read(&self.keys)?;
        let line = match &self.signature {
            Some(file) => Some(read_signature(file)?),
            None => trusted.beside(&self.module)?,
        };
        let artifact = Artifact::new(read_module(&self.module).await?, line);
        verify(&trusted, &artifact, &flow).await?;
        let module = compile(guests_of(self.guest)?, &artifact).await?;
        let line = artifact.signature;
        let digest = module.digest();
        let wit = module.wit_version();
        trusted.check(digest, &flow, wit, line.as_deref())?;
        let key = Signature::parse(&line.unwrap_or_default())?.key().to_string();
        if self.json {
            print_json(
                &json!({ "valid": true, "digest": digest, "flow": flow, "wit": wit, "key": key, "problems": [] }),
            )?;
        } else {
            print(format!("valid: module {} is signed as flow {flow} with key {key}\n", digest.as_str()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn read_signature(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|source| Error::InputUnreadable { path: file.to_owned(), source })
}
