//! The name of the function. Its events are sent to `/async-function/NAME`, so a wrong name loses them.

use super::error::Error;
use super::table::Values;
use super::values::Source;
use faas_flow_core::FlowName;
use std::ops::RangeInclusive;

/// The characters of Kubernetes' random suffixes.
const SAFE: &str = "bcdfghjklmnpqrstvwxz2456789";
/// The maximum length of a pod's host name; Kubernetes cuts longer names off.
const LONGEST: usize = 63;

/// The name and its source: the key `flow_name`, the variable `OPENFAAS_NAME`, or the host name that OpenFaaS gives to a
/// container.
pub(crate) fn flow_name(
    values: &Values,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(FlowName, Source), Error> {
    if let Some(name) = &values.flow_name.value {
        return Ok((FlowName::new(name)?, values.flow_name.source.clone()));
    }
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(name) = variable("OPENFAAS_NAME") {
        return Ok((FlowName::new(name)?, Source::Environment("OPENFAAS_NAME".to_owned())));
    }
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = variable("HOSTNAME").or_else(kernel).unwrap_or_default();
    let host = host.trim();
    let name = if variable("KUBERNETES_SERVICE_HOST").is_some() {
        of_pod(host)
    } else {
        Some(host).filter(|host| !is_container_id(host))
    };
    let name = name.filter(|name| *name != "localhost").and_then(|name| FlowName::new(name).ok());
    let name = name.ok_or_else(|| Error::UnknownFlowName { hostname: host.to_owned() })?;
    Ok((name, Source::Hostname))
}

/// `greet` for the pod `greet-7d9c5b8f6d-x2k4q`. None if the name may have been cut off.
fn of_pod(host: &str) -> Option<&str> {
    let suffix = |text: &str, lengths: RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.chars().all(|c| SAFE.contains(c) || c.is_ascii_digit())
    };
    let parts = host.rsplit_once('-').and_then(|(rest, id)| Some((rest.rsplit_once('-')?, id)));
    match parts {
        Some(((name, hash), id)) if suffix(id, 5..=5) && suffix(hash, 5..=10) => Some(name),
        _ => Some(host).filter(|host| host.len() < LONGEST),
    }
}

/// Docker uses the container's id as its host name by default.
fn is_container_id(host: &str) -> bool {
    host.len() == 12 && host.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::Code;

    fn name(option: Option<&str>, variables: &[(&str, &str)]) -> Result<String, Code> {
        let given: Vec<(&str, &str)> = option.map(|name| ("flow_name", name)).into_iter().collect();
        let values = Values::of(&given).unwrap();
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
