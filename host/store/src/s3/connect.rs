//! Opens a bucket by its address.

use super::credentials::Source;
use super::errors::Place;
use super::{S3, keys};
use crate::StoreError;
use crate::address::Address;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use faas_flow_core::RetryPolicy;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::time::Duration;

const OPTIONS: [&str; 9] =
    ["endpoint", "region", "path_style", "create", "secrets", "ca", "connect_timeout_ms", "timeout_ms", "attempts"];

/// The waits before a download is tried again.
const RETRIES: RetryPolicy = RetryPolicy::exponential(Duration::from_millis(100), Duration::from_secs(2));

/// Opens the bucket, and creates it if it does not exist and the address allows it.
pub(super) async fn open(address: &Address<'_>) -> Result<S3, StoreError> {
    address.knows(&OPTIONS)?;
    let (bucket, prefix) = address.place.split_once('/').unwrap_or((address.place, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if bucket.is_empty() {
        return Err(address.bad("use s3://BUCKET or s3://BUCKET/PREFIX"));
    }
    if !prefix.is_empty() && !keys::is_prefix(prefix) {
        return Err(address.bad("a prefix may have letters, digits, `-_.=!'()*` and single slashes"));
    }
    let endpoint = endpoint(address)?;
    let region = address.text("region").or_else(|| std::env::var("AWS_REGION").ok());
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    let attempts: u32 = address.number("attempts")?.unwrap_or(3).max(1);
    let place = match &endpoint {
        Some(endpoint) => Place(format!("s3://{} at {endpoint}", address.place)),
        None => Place(format!("s3://{} in {region}", address.place)),
    };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(address.millis("connect_timeout_ms")?.unwrap_or(Duration::from_secs(3)))
        .operation_attempt_timeout(address.millis("timeout_ms")?.unwrap_or(Duration::from_secs(30)));
    let path_style = address.choice("path_style", &[("true", true), ("false", false)])?.unwrap_or(endpoint.is_some());
    let create = address.choice("create", &[("true", true), ("false", false)])?.unwrap_or(false);
    let http_client = http_client(address, endpoint.as_deref())?;
    let source = Source::choose(address.text("secrets").map(Into::into));
    source.load().map_err(|reason| StoreError::Denied { place: place.0.clone(), reason })?;

    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .region(Region::new(region.clone()))
        .credentials_provider(source)
        .force_path_style(path_style)
        .timeout_config(timeouts.build())
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        // By itself the SDK adds a CRC to each upload, for a large one as a trailer in `aws-chunked` encoding. Many
        // services that speak S3 refuse that or, worse, store the encoding. The signature covers the body anyway.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    config.set_endpoint_url(endpoint);

    let client = Client::from_conf(config.build());
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let store = S3 { client, bucket: bucket.to_owned(), prefix, retries: RETRIES.with_max_tries(attempts), place };
    match store.verify().await {
        Err(StoreError::NotFound { .. }) if create => store.create(&region).await?,
        verified => verified?,
    }
    Ok(store)
}

impl S3 {
    /// Checks that the bucket exists and may be listed, which deleting a run requires.
    async fn verify(&self) -> Result<(), StoreError> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix).delimiter("/").max_keys(1);
        list.send().await.map(|_| ()).map_err(|error| self.place.error(&error))
    }

    async fn create(&self, region: &str) -> Result<(), StoreError> {
        let mut create = self.client.create_bucket().bucket(&self.bucket);
        // This region is the only one that must not be named.
        if region != "us-east-1" {
            let constraint = BucketLocationConstraint::from(region);
            create = create.create_bucket_configuration(
                CreateBucketConfiguration::builder().location_constraint(constraint).build(),
            );
        }
        match create.send().await {
            // Another replica has created it at the same time.
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            created => created.map(|_| ()).map_err(|error| self.place.error(&error)),
        }
    }
}

fn endpoint(address: &Address<'_>) -> Result<Option<String>, StoreError> {
    let Some(endpoint) = address.text("endpoint") else { return Ok(None) };
    let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    if !host.is_some_and(|host| !host.is_empty() && !host.contains(['@', '?', '#', ' '])) {
        return Err(address.bad("endpoint must be http://HOST:PORT or https://HOST:PORT, without a user"));
    }
    Ok(Some(endpoint))
}

/// An HTTP client with the host's TLS stack, rustls with aws-lc. It trusts the system's roots unless `ca` names a file.
fn http_client(address: &Address<'_>, endpoint: Option<&str>) -> Result<SharedHttpClient, StoreError> {
    let builder = aws_smithy_http_client::Builder::new();
    let trust = match address.text("ca") {
        Some(path) => TrustStore::empty().with_pem_certificate(authority(address, &path)?),
        None if endpoint.is_some_and(|endpoint| endpoint.starts_with("http:")) => return Ok(builder.build_http()),
        None => TrustStore::default(),
    };
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| address.bad(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context).build_https())
}

/// Reads a file of PEM certificates, and checks it, since the client panics if a certificate is malformed.
fn authority(address: &Address<'_>, path: &str) -> Result<Vec<u8>, StoreError> {
    let bad = |reason: String| address.bad(format!("ca must be a file of PEM certificates: {path}: {reason}"));
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("it has no certificates".to_owned()));
    }
    Ok(pem)
}
