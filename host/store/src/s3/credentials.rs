//! The source of the access key.

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_s3::config::{Credentials, ProvideCredentials};
use faas_flow_core::secret_of;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where OpenFaaS mounts a function's secrets.
const MOUNT: &str = "/var/openfaas/secrets";

/// How long a key from a file is used before the file is read again, since secrets may be replaced while the host runs.
const FRESH: Duration = Duration::from_secs(300);

/// Where the access key comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if it is set, `AWS_SESSION_TOKEN`.
    Environment,
    /// The files `s3-access-key` and `s3-secret-key` of a directory.
    Files(PathBuf),
}

impl Source {
    /// Chooses the given directory, or else the environment if it has a key, or else the secrets that OpenFaaS mounts.
    pub(super) fn choose(directory: Option<PathBuf>) -> Self {
        match directory {
            Some(directory) => Source::Files(directory),
            None if variable("AWS_ACCESS_KEY_ID").is_ok() => Source::Environment,
            None => Source::Files(MOUNT.into()),
        }
    }

    /// Reads the key; the error says what is missing.
    pub(super) fn load(&self) -> Result<Credentials, String> {
        let builder = Credentials::builder();
        let builder = match self {
            Source::Environment => {
                let mut builder = builder.provider_name("environment");
                builder.set_session_token(variable("AWS_SESSION_TOKEN").ok());
                builder
                    .access_key_id(variable("AWS_ACCESS_KEY_ID")?)
                    .secret_access_key(variable("AWS_SECRET_ACCESS_KEY")?)
            }
            Source::Files(directory) => builder
                .provider_name("files")
                .expiry(SystemTime::now() + FRESH)
                .access_key_id(secret(directory, "s3-access-key")?)
                .secret_access_key(secret(directory, "s3-secret-key")?),
        };
        Ok(builder.build())
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        // Blocking is acceptable: these are two small files, read once in five minutes.
        future::ProvideCredentials::ready(self.load().map_err(CredentialsError::not_loaded))
    }
}

fn variable(name: &str) -> Result<String, String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| format!("the variable {name} is not set"))
}

fn secret(directory: &Path, name: &str) -> Result<String, String> {
    let path = directory.join(name);
    match fs::read(&path) {
        Ok(file) => match secret_of(&file) {
            Ok(secret) => Ok(secret.to_owned()),
            Err(flaw) => Err(format!("{} {flaw}", path.display())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("AWS_ACCESS_KEY_ID is not set, and there is no file {}", path.display()))
        }
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_files_is_read_without_its_line_end_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("s3-access-key"), "access\n").unwrap();
        let source = Source::choose(Some(directory.path().into()));
        assert!(source.load().unwrap_err().contains("s3-secret-key"));
        fs::write(directory.path().join("s3-secret-key"), " \n").unwrap();
        assert!(source.load().unwrap_err().contains("empty"));
        fs::write(directory.path().join("s3-secret-key"), "one\ntwo\n").unwrap();
        assert!(source.load().unwrap_err().contains("one line"));
        fs::write(directory.path().join("s3-secret-key"), "\u{feff}hidden\r\n").unwrap();
        let key = source.load().unwrap();
        assert_eq!((key.access_key_id(), key.secret_access_key()), ("access", "hidden"));
        assert!(!format!("{key:?} {source:?}").contains("hidden"));
    }
}
