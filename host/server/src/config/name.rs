//! What the function is called: its events go to `/async-function/NAME`, so a wrong name loses them.

use super::table::FLOW_NAME;
use super::values::{Source, Values};
use crate::Error;
use faas_flow_core::{Code, FlowName};

/// What Kubernetes makes names of.
const SAFE: &str = "bcdfghjklmnpqrstvwxz2456789";
/// The longest hostname that Kubernetes gives to a pod: longer names are cut.
const LONGEST: usize = 63;

/// The name, and where it is from: the key `flow_name`, OpenFaaS, or the hostname that OpenFaaS gives to a container.
pub(crate) fn flow_name(
    values: &Values,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(FlowName, Source), Error> {
    if let Some(name) = values.some(&FLOW_NAME) {
        return Ok((FlowName::new(name)?, values.source(&FLOW_NAME)));
    }
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(name) = variable("OPENFAAS_NAME") {
        return Ok((FlowName::new(name)?, Source::Environment("OPENFAAS_NAME".to_owned())));
    }
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = variable("HOSTNAME").or_else(kernel).unwrap_or_default();
    let host = host.trim();
    let pods = variable("KUBERNETES_SERVICE_HOST").is_some();
    let name = if pods { of_pod(host) } else { Some(host).filter(|host| !is_container_id(host)) };
    let name = name.filter(|name| *name != "localhost").and_then(|name| FlowName::new(name).ok());
    let name = name.ok_or_else(|| {
        let message = format!("the hostname `{}` does not say how this function is called: set flow_name", shown(host));
        Error::new(Code::BAD_FLOW_NAME, message)
    })?;
    Ok((name, Source::Hostname))
}

/// `greet` of the pod `greet-7d9c5b8f6d-x2k4q`; a name that was cut says nothing.
fn of_pod(host: &str) -> Option<&str> {
    let suffix = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.chars().all(|c| SAFE.contains(c) || c.is_ascii_digit())
    };
    let parts = host.rsplit_once('-').and_then(|(rest, id)| Some((rest.rsplit_once('-')?, id)));
    match parts {
        Some(((name, hash), id)) if suffix(id, 5..=5) && suffix(hash, 5..=10) => Some(name),
        _ => Some(host).filter(|host| host.len() < LONGEST),
    }
}

/// Docker calls a container by its id, if nobody says something else.
fn is_container_id(host: &str) -> bool {
    host.len() == 12 && host.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn shown(host: &str) -> String {
    host.escape_debug().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::super::values::Defaults;
    use super::*;

    fn name(option: Option<&str>, variables: &[(&str, &str)]) -> Result<String, Code> {
        let given = option.map(|name| (&FLOW_NAME, vec![name.to_owned()], Source::Option("--flow-name".into())));
        let values = Values::new(Defaults::Deployed, Vec::new(), given.into_iter().collect());
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        flow_name(&values, variable).map(|(name, _)| name.to_string()).map_err(|error| error.code())
    }

    #[test]
    fn the_key_comes_before_openfaas_and_that_before_the_hostname() {
        let all = [("OPENFAAS_NAME", "b"), ("HOSTNAME", "c")];
        assert_eq!(name(Some("a"), &all), Ok("a".into()));
        assert_eq!(name(None, &all), Ok("b".into()));
        assert_eq!(name(None, &all[1..]), Ok("c".into()));
        assert_eq!(name(Some("../x"), &all), Err(Code::BAD_FLOW_NAME));
    }

    #[test]
    fn a_pods_suffix_is_cut_off() {
        let pod = |host: &str| name(None, &[("HOSTNAME", host), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")]);
        assert_eq!(pod("greet-7d9c5b8f6d-x2k4q"), Ok("greet".into()));
        assert_eq!(pod("my-flow-b5f9zkgx7-2mpqz"), Ok("my-flow".into()));
        assert_eq!(pod("my-flow"), Ok("my-flow".into()));
        assert_eq!(pod("my-other-flow"), Ok("my-other-flow".into()));
        assert_eq!(pod(&"x".repeat(63)), Err(Code::BAD_FLOW_NAME));
        // Elsewhere a name may end as it likes.
        assert_eq!(name(None, &[("HOSTNAME", "greet-7d9c5b8f6d-x2k4q")]), Ok("greet-7d9c5b8f6d-x2k4q".into()));
    }

    #[test]
    fn a_hostname_that_says_nothing_is_refused() {
        for host in ["0123456789ab", "localhost", "a b", "ümlaut"] {
            assert_eq!(name(None, &[("HOSTNAME", host)]), Err(Code::BAD_FLOW_NAME), "{host}");
        }
    }
}
