//! Resolves the addresses of the two stores: from their own keys, or from those that the original has.

use super::error::Error;
use super::key::Defaults;
use super::table::Values;
use super::values::Source;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Where state and data are kept if no key says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unspecified {
    /// At the keys' defaults.
    Durable,
    /// In memory: the runs are not needed after the process has ended.
    Memory,
}

/// The addresses of the stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stores {
    pub state: String,
    pub data: String,
}

/// Resolves both addresses, and puts them into `state_store` and `data_store`.
pub(crate) fn resolve(values: &mut Values, unspecified: Unspecified) -> Result<Stores, Error> {
    let state = state(values, unspecified)?;
    let data = data(values, &state, unspecified)?;
    Ok(Stores { data: with_secrets(values, data), state })
}

fn state(values: &mut Values, unspecified: Unspecified) -> Result<String, Error> {
    let consul = values.consul_url.value.clone();
    if values.state_store.given().is_some() {
        if consul.is_some() {
            values.warnings.push("consul_url is ignored, since state_store is set".to_owned());
        }
    } else if let Some(consul) = consul {
        let (scheme, rest) = match consul.split_once("://") {
            Some(("https", rest)) => ("consuls", rest),
            Some((_, rest)) => ("consul", rest),
            None => ("consul", consul.as_str()),
        };
        let address = format!("{scheme}://{rest}?dc={}", encoded(&values.consul_dc.value));
        values.state_store.set_text(address, Source::Keys("consul_url, consul_dc"));
    } else if values.defaults == Defaults::Deployed {
        return Err(Error::NoStateStore);
    } else if unspecified == Unspecified::Memory {
        values.state_store.set_text("memory".to_owned(), Source::Default);
    }
    values.state_store.value.clone().ok_or(Error::NoStateStore)
}

fn data(values: &mut Values, state: &str, unspecified: Unspecified) -> Result<String, Error> {
    if values.data_store.given().is_some() {
        if values.s3_url.value.is_some() {
            values.warnings.push("s3_url is ignored, since data_store is set".to_owned());
        }
    } else if values.s3_url.value.is_some() {
        let address = s3(values)?;
        values.data_store.set_text(address, Source::Keys("s3_url, s3_region, s3_tls, s3_bucket"));
    } else if values.state_store.is_given() && (state == "memory" || state.starts_with("redis")) {
        values.data_store.set_text(state.to_owned(), Source::Keys("state_store"));
    } else if values.defaults == Defaults::Deployed {
        return Err(Error::NoDataStore);
    } else if unspecified == Unspecified::Memory {
        values.data_store.set_text("memory".to_owned(), Source::Default);
    }
    values.data_store.value.clone().ok_or(Error::NoDataStore)
}

/// The address of the data store at `s3_url`. Without a scheme there, `s3_tls` decides between http and https.
fn s3(values: &Values) -> Result<String, Error> {
    let written = values.s3_url.text();
    let tls = values.s3_tls.value;
    if tls && written.starts_with("http://") {
        return Err(Error::ContradictoryTls);
    }
    let endpoint = if written.contains("://") {
        written.to_owned()
    } else {
        format!("{}://{written}", if tls { "https" } else { "http" })
    };
    let endpoint = encoded(endpoint.trim_end_matches('/'));
    let region = encoded(&values.s3_region.value);
    Ok(format!("s3://{}?endpoint={endpoint}&region={region}&create=true", values.s3_bucket.value))
}

/// Adds the folder of the secrets, which has the keys of S3 unless the address or AWS's own variables say otherwise.
fn with_secrets(values: &mut Values, address: String) -> String {
    let elsewhere = address.contains("secrets=") || std::env::var_os("AWS_ACCESS_KEY_ID").is_some();
    if !address.starts_with("s3://") || elsewhere {
        return address;
    }
    let separator = if address.contains('?') { '&' } else { '?' };
    let folder = encoded(&values.secret_mount_path.value.to_string_lossy());
    let address = format!("{address}{separator}secrets={folder}");
    let source = values.data_store.source.clone();
    values.data_store.set_text(address.clone(), source);
    address
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores(pairs: &[(&str, &str)]) -> Result<(String, String, Vec<String>), String> {
        let mut values = Values::of(pairs).unwrap();
        let stores = resolve(&mut values, Unspecified::Durable).map_err(|error| error.to_string())?;
        assert_eq!(
            (values.state_store.text(), values.data_store.text()),
            (stores.state.as_str(), stores.data.as_str())
        );
        Ok((stores.state, stores.data, values.warnings))
    }

    #[test]
    fn the_originals_flow_yml_keeps_its_meaning() {
        let original = [
            ("consul_url", "consul.faasflow:8500"),
            ("consul_dc", "dc1"),
            ("s3_url", "minio.faasflow:9000"),
            ("s3_region", "us-east-1"),
            ("s3_tls", "false"),
        ];
        let (state, data, warnings) = stores(&original).unwrap();
        assert_eq!(state, "consul://consul.faasflow:8500?dc=dc1");
        assert!(data.starts_with(
            "s3://faas-flow?endpoint=http%3A%2F%2Fminio%2Efaasflow%3A9000&region=us%2Deast%2D1&create=true"
        ));
        assert!(data.ends_with("&secrets=%2Fvar%2Fopenfaas%2Fsecrets") && warnings.is_empty());
        let tls = stores(&[("state_store", "redis://r"), ("s3_url", "s3.example"), ("s3_tls", "true")]).unwrap();
        assert!(tls.1.contains("endpoint=https%3A%2F%2Fs3%2Eexample&"), "{}", tls.1);
    }

    #[test]
    fn data_is_kept_with_the_state_if_its_store_takes_data() {
        assert_eq!(stores(&[("state_store", "redis://r:1/2")]).unwrap().1, "redis://r:1/2");
        assert!(stores(&[("state_store", "etcd://e")]).unwrap_err().contains("set data_store"));
        assert!(stores(&[]).unwrap_err().contains("set state_store"));
        let both = [("state_store", "redis://r"), ("consul_url", "c"), ("s3_url", "s"), ("data_store", "redis://d")];
        assert_eq!(stores(&both).unwrap().2.len(), 2);
        assert!(stores(&[("state_store", "redis://r"), ("s3_url", "http://s"), ("s3_tls", "1")]).is_err());
    }

    #[test]
    fn local_commands_fall_back_to_files_or_memory() {
        let resolved = |unspecified| {
            let mut values = Values::with_defaults(Defaults::Local).unwrap();
            let Stores { state, data } = resolve(&mut values, unspecified).unwrap();
            assert!(!values.state_store.is_given());
            (state, data)
        };
        assert_eq!(resolved(Unspecified::Durable).0, "sqlite:.faas-flow/state.db");
        assert_eq!(resolved(Unspecified::Memory), ("memory".to_owned(), "memory".to_owned()));
    }

    #[test]
    fn local_commands_find_the_data_where_functions_have_it() {
        let data = |state: &str| {
            let mut values = Values::with_defaults(Defaults::Local).unwrap();
            values.state_store.set_text(state.to_owned(), Source::Environment("state_store".to_owned()));
            resolve(&mut values, Unspecified::Durable).unwrap().data
        };
        assert_eq!(data("redis://r:1/2?partitions=4"), "redis://r:1/2?partitions=4");
        assert_eq!(data("memory"), "memory");
        assert_eq!(data("sqlite:x.db"), data("etcd://e"), "those hold no data");
    }
}
