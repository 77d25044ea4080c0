//! Limits that do not fit each other: what one lets in, another does not let through.

use super::table::Values;
use faas_flow_http::ShowPayloads;

/// What does not fit, and what to do. The defaults fit.
pub(crate) fn misfits(values: &Values) -> Vec<String> {
    let Values { body_limit, response_limit, guest_memory, guest_output, show_payloads, .. } = values;
    let show_payloads = &show_payloads.value;
    let quarter = guest_memory.value / 4;
    let mut misfits = Vec::new();
    if body_limit.value > quarter {
        misfits.push(format!(
            "body_limit is {} bytes, but flows with code of their own take bodies of up to {quarter} bytes, a quarter of \
             guest_memory: raise guest_memory",
            body_limit.value
        ));
    }
    if response_limit.value > quarter {
        misfits.push(format!(
            "response_limit is {} bytes, but guest_memory only {}: the flows' code may have no room for such responses; \
             raise guest_memory to four times the limit",
            response_limit.value, guest_memory.value
        ));
    }
    if guest_output.value > guest_memory.value {
        misfits.push(format!(
            "guest_output is {} bytes, but the flows' code cannot return more than guest_memory, {} bytes: raise \
             guest_memory",
            guest_output.value, guest_memory.value
        ));
    }
    if values.run_payloads.is_given() && values.run_payloads.value > 0 && *show_payloads == ShowPayloads::Never {
        misfits.push(
            "run_payloads keeps nothing, since show_payloads is never: set show_payloads to failed or always"
                .to_owned(),
        );
    }
    misfits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_and_what_does_not_is_said() {
        let found = |pairs: &[(&str, &str)]| misfits(&Values::of(pairs).unwrap());
        assert_eq!(found(&[]), [""; 0]);
        assert!(found(&[("body_limit", "65MiB")])[0].starts_with("body_limit is 68157440 bytes"));
        assert!(found(&[("response_limit", "1GiB")])[0].starts_with("response_limit"));
        assert!(found(&[("guest_output", "1GiB")])[0].starts_with("guest_output"));
        assert_eq!(found(&[("guest_memory", "16MiB")]).len(), 3);
        assert!(found(&[("run_payloads", "1MiB")])[0].starts_with("run_payloads keeps nothing"));
        assert_eq!(found(&[("run_payloads", "1MiB"), ("show_payloads", "failed")]), [""; 0]);
        assert_eq!(found(&[("guest_memory", "1GiB"), ("body_limit", "256MiB")]), [""; 0]);
    }
}
