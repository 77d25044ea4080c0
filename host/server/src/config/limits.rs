//! Limits over all runs, as the operator writes them.

use super::format::{Format, List, Occurrence, Rule};
use faas_flow_core::limit::{Figures, is_limit_name};

/// Limits by the names of limits or functions: `payments=10`, `mail=2.5/s`, `charge=10+5/s`.
pub(crate) struct NamedLimits;

impl Format<Vec<(String, Figures)>> for NamedLimits {
    fn describe(&self) -> String {
        "list of `NAME=COUNT`, `NAME=RATE/s` or `NAME=COUNT+RATE/s`".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "LIMIT"
    }

    fn parse(&self, text: &str) -> Result<Vec<(String, Figures)>, Rule> {
        let mut limits: Vec<(String, Figures)> = Vec::new();
        for item in List.parse(text)? {
            let (name, figures) = one(&item)?;
            if limits.iter().any(|(known, _)| *known == name) {
                return Err(format!("must name each limit once, but names {name} twice"));
            }
            limits.push((name, figures));
        }
        Ok(limits)
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<(String, Figures)>>) -> Option<Vec<(String, Figures)>> {
        Some(values.concat())
    }
}

fn one(item: &str) -> Result<(String, Figures), Rule> {
    let form = || "must have items such as payments=10, mail=2.5/s or charge=10+5/s".to_owned();
    let (name, says) = item.split_once('=').ok_or_else(form)?;
    let name = name.trim();
    if !is_limit_name(name) {
        return Err("must name limits or functions with 1 to 64 characters of `A-Z a-z 0-9 _ . -`".to_owned());
    }
    let figures = figures(says.trim()).ok_or_else(form)?;
    figures.check().map_err(|bad| format!("must let something through: {bad}"))?;
    Ok((name.to_owned(), figures))
}

/// `10`, `2.5/s` or `10+2.5/s`; `None` for anything else.
pub(crate) fn figures(text: &str) -> Option<Figures> {
    let rate = |text: &str| text.trim().strip_suffix("/s").and_then(|rate| rate.trim().parse().ok());
    let count = |text: &str| text.trim().parse().ok();
    match text.split_once('+') {
        Some((first, second)) => Some(Figures { concurrent: Some(count(first)?), per_second: Some(rate(second)?) }),
        None if text.ends_with("/s") => Some(Figures { concurrent: None, per_second: Some(rate(text)?) }),
        None => Some(Figures { concurrent: Some(count(text)?), per_second: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LIMIT-8, LIMIT-9.
    #[test]
    fn a_limit_has_a_number_at_a_time_or_a_rate_or_both() {
        let parsed = NamedLimits.parse("payments=10, mail=2.5/s,charge.openfaas-fn = 3 + 0.5/s").unwrap();
        let figures = |concurrent, per_second| Figures { concurrent, per_second };
        assert_eq!(parsed[0], ("payments".to_owned(), figures(Some(10), None)));
        assert_eq!(parsed[1], ("mail".to_owned(), figures(None, Some(2.5))));
        assert_eq!(parsed[2], ("charge.openfaas-fn".to_owned(), figures(Some(3), Some(0.5))));
        assert_eq!(NamedLimits.parse("").unwrap(), []);
        for bad in
            ["payments", "payments=", "a=x", "a=-1", "a=1.5", "a=2s", "a=1/s+2", "a b=1", "=1", "a=NaN/s", "a=1+"]
        {
            assert!(NamedLimits.parse(bad).is_err(), "{bad}");
        }
        assert!(NamedLimits.parse("a=0").unwrap_err().contains("allow at least 1"));
        assert!(NamedLimits.parse("a=0/s").unwrap_err().contains("a rate is from"));
        assert!(NamedLimits.parse("a=1,b=2,a=3").unwrap_err().contains("names a twice"));
    }
}
