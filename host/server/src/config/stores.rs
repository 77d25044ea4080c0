//! Where state and data are kept, from the keys of the original and ours.

use super::table::{
    CONSUL_DC, CONSUL_URL, DATA_STORE, S3_BUCKET, S3_REGION, S3_TLS, S3_URL, SECRET_MOUNT_PATH, STATE_STORE,
};
use super::values::{Defaults, Source, Values};
use crate::Error;
use faas_flow_core::Code;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Fills in the two addresses. `once` is for a run that nobody looks at later: it stays in memory.
pub(crate) fn resolve(values: &mut Values, once: bool) -> Result<(), Error> {
    state(values)?;
    data(values)?;
    if once {
        for key in [&STATE_STORE, &DATA_STORE] {
            if values.source(key) == Source::Default {
                values.set(key, vec!["memory".to_owned()], Source::Default);
            }
        }
    }
    with_secrets(values);
    Ok(())
}

fn state(values: &mut Values) -> Result<(), Error> {
    let consul = values.url(&CONSUL_URL);
    match (values.given(&STATE_STORE), consul) {
        (Some(_), Some(_)) => values.warnings.push("consul_url is not used, since state_store is set".to_owned()),
        (None, Some(consul)) => {
            let (scheme, rest) = match consul.split_once("://") {
                Some(("https", rest)) => ("consuls", rest),
                Some((_, rest)) => ("consul", rest),
                None => ("consul", consul.as_str()),
            };
            let address = format!("{scheme}://{rest}?dc={}", encoded(&values.text(&CONSUL_DC)));
            values.set(&STATE_STORE, vec![address], Source::Keys("consul_url, consul_dc"));
        }
        (None, None) if values.defaults == Defaults::Deployed => {
            let message = "a function keeps the state of its runs where all its replicas find it: set state_store, as in \
                redis://HOST:6379, or consul_url";
            return Err(Error::new(Code::BAD_CONFIGURATION, message));
        }
        _ => {}
    }
    Ok(())
}

fn data(values: &mut Values) -> Result<(), Error> {
    match (values.given(&DATA_STORE), values.text(&S3_URL)) {
        (Some(_), s3) if !s3.is_empty() => {
            values.warnings.push("s3_url is not used, since data_store is set".to_owned());
        }
        (None, s3) if !s3.is_empty() => {
            let tls = values.switch(&S3_TLS);
            if tls && s3.starts_with("http://") {
                let message =
                    "s3_url begins with http://, and s3_tls is true: write s3_url as HOST:PORT, or with https://";
                return Err(Error::new(Code::BAD_CONFIGURATION, message));
            }
            let endpoint = match s3.contains("://") {
                true => s3,
                false => format!("{}://{s3}", if tls { "https" } else { "http" }),
            };
            let (endpoint, region) = (encoded(endpoint.trim_end_matches('/')), encoded(&values.text(&S3_REGION)));
            let bucket = values.text(&S3_BUCKET);
            let address = format!("s3://{bucket}?endpoint={endpoint}&region={region}&create=true");
            values.set(&DATA_STORE, vec![address], Source::Keys("s3_url, s3_region, s3_tls, s3_bucket"));
        }
        (None, _) if values.defaults == Defaults::Deployed => {
            let state = values.text(&STATE_STORE);
            if state != "memory" && !state.starts_with("redis") {
                let message = "payloads that are too large for the state need a place that all replicas find: set data_store, \
                    as in s3://BUCKET, or s3_url";
                return Err(Error::new(Code::BAD_CONFIGURATION, message));
            }
            values.set(&DATA_STORE, vec![state], Source::Keys("state_store"));
        }
        _ => {}
    }
    Ok(())
}

/// S3's keys are where all other secrets are, unless the address or the usual variables say something else.
fn with_secrets(values: &mut Values) {
    let address = values.text(&DATA_STORE);
    let elsewhere = address.contains("secrets=") || std::env::var_os("AWS_ACCESS_KEY_ID").is_some();
    if address.starts_with("s3://") && !elsewhere {
        let mark = if address.contains('?') { '&' } else { '?' };
        let address = format!("{address}{mark}secrets={}", encoded(&values.text(&SECRET_MOUNT_PATH)));
        let source = values.source(&DATA_STORE);
        values.set(&DATA_STORE, vec![address], source);
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::values::{Unknown, read};
    use super::*;

    fn stores(pairs: &[(&str, &str)]) -> Result<(String, String, Vec<String>), String> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let layer = read(pairs, |name| Source::Environment(name.to_owned()), Unknown::Any).unwrap();
        let mut values = Values::new(Defaults::Deployed, layer, Vec::new());
        resolve(&mut values, false).map_err(|error| error.to_string())?;
        Ok((values.text(&STATE_STORE), values.text(&DATA_STORE), values.warnings))
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
    fn data_is_with_the_state_where_that_takes_it() {
        assert_eq!(stores(&[("state_store", "redis://r:1/2")]).unwrap().1, "redis://r:1/2");
        assert!(stores(&[("state_store", "etcd://e")]).unwrap_err().contains("set data_store"));
        assert!(stores(&[]).unwrap_err().contains("set state_store"));
        let both = [("state_store", "redis://r"), ("consul_url", "c"), ("s3_url", "s"), ("data_store", "redis://d")];
        assert_eq!(stores(&both).unwrap().2.len(), 2);
        assert!(stores(&[("state_store", "redis://r"), ("s3_url", "http://s"), ("s3_tls", "1")]).is_err());
    }
}
