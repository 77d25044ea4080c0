//! Which runs a caller asks for: in a query, in the form of a page and in links, always with the same names.

use super::error::Error;
use super::request::{FromQuery, Query};
use faas_flow_core::{Code, FlowName, Labels, Millis, Status, past_moment};
use faas_flow_store::{Cursor, RunQuery};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa::IntoParams;

/// The most characters of a text that is looked for, or of the beginning of an id or a digest.
const LONGEST: usize = 256;

/// Which runs to find. All conditions that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunFilter {
    /// Only runs with this status.
    #[param(value_type = String, required = false, pattern = "^(running|paused|stopped|succeeded|failed|)$")]
    pub status: Option<Status>,
    /// Only runs with this label, such as `order=42`. May be given several times, for runs that have all of the labels.
    #[param(rename = "label", value_type = Vec<String>, required = false)]
    pub labels: Labels,
    /// Only runs of a version whose digest begins with this.
    #[param(required = false, max_length = 256)]
    pub digest: Option<String>,
    /// Only runs that started at this time or later: a time ago (`90s`, `2h`, `7d`), a day in UTC (`2026-12-24`), a moment in the form of
    /// RFC 3339, or milliseconds since the Unix epoch.
    #[param(required = false)]
    pub since: Option<String>,
    /// Only runs that started before this time; written as `since`.
    #[param(required = false)]
    pub until: Option<String>,
    /// Only runs that have failed with this code.
    #[param(value_type = String, required = false, example = "FF0208")]
    pub code: Option<Code>,
    /// Only runs whose request id begins with this.
    #[param(required = false, max_length = 256)]
    pub id: Option<String>,
    /// Only runs that have failed with a message that contains this, ignoring case. Only the first 256 bytes of each message are searched.
    #[param(required = false, max_length = 256)]
    pub text: Option<String>,
}

impl FromQuery for RunFilter {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let bad = |name, rule| Error::BadParameter { name, rule };
        // A form sends a field that is left empty, too.
        let given = |name: &str| query.first(name).map(str::trim).filter(|value| !value.is_empty());
        let text = |name: &'static str| {
            if query.first(name).is_some_and(|text| text.chars().count() > LONGEST) {
                return Err(bad(name, "at most 256 characters"));
            }
            Ok(given(name).map(str::to_owned))
        };
        let moment = |name: &'static str| {
            let rule =
                "a time ago such as 2h or 7d, a day such as 2026-12-24, or a moment such as 2026-12-24T18:00:00Z";
            let moment = given(name).map(str::to_owned);
            if moment.as_ref().is_some_and(|moment| past_moment(moment, Millis::MAX).is_none()) {
                return Err(bad(name, rule));
            }
            Ok(moment)
        };
        // Links that people have saved say `state`.
        let status = given("status").or(given("state")).map(Status::parse);
        let code = given("code").map(Code::parse);
        Ok(Self {
            status: required(status, || bad("status", "running, paused, stopped, succeeded or failed"))?,
            labels: query.labels()?,
            digest: text("digest")?,
            since: moment("since")?,
            until: moment("until")?,
            code: required(code, || bad("code", "the code of an error, such as FF0208"))?,
            id: text("id")?,
            text: text("text")?,
        })
    }
}

/// What was given must also be valid.
fn required<T>(given: Option<Option<T>>, error: impl FnOnce() -> Error) -> Result<Option<T>, Error> {
    match given {
        Some(None) => Err(error()),
        Some(valid) => Ok(valid),
        None => Ok(None),
    }
}

impl RunFilter {
    /// The page of these runs that begins after a place.
    pub fn query(&self, flow: Option<&FlowName>, now: Millis, (after, limit): (Option<Cursor>, usize)) -> RunQuery {
        let moment = |text: &Option<String>| text.as_ref().and_then(|text| past_moment(text, now));
        RunQuery {
            flow: flow.cloned(),
            status: self.status,
            labels: self.labels.clone(),
            digest: self.digest.clone(),
            since: moment(&self.since),
            until: moment(&self.until),
            code: self.code,
            id: self.id.clone(),
            text: self.text.clone(),
            after,
            limit,
        }
    }

    /// Names and values of the conditions, as a query has them.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("status", self.status.map(|status| status.to_string())),
            ("digest", self.digest.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("code", self.code.map(|code| code.to_string())),
            ("id", self.id.clone()),
            ("text", self.text.clone()),
        ];
        let mut pairs: Vec<_> = texts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
        pairs.extend(self.labels.iter().map(|(key, value)| ("label", format!("{key}={value}"))));
        pairs
    }

    /// The query of a link to these runs, with further parameters; empty if there are none.
    pub fn link(&self, further: &[(&'static str, String)]) -> String {
        let mut link = String::new();
        for (name, value) in self.pairs().iter().chain(further) {
            link.push(if link.is_empty() { '?' } else { '&' });
            link.push_str(name);
            link.push('=');
            link.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        link
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<RunFilter, Error> {
        RunFilter::from_query(&Query::parse(query))
    }

    #[test]
    fn a_filter_reads_back_from_its_link() {
        let query = "status=failed&label=order%3D42&label=who%3Da%26b&digest=ab12&since=2h&until=2026-12-24&code=FF0208&id=r%2F1&text=%C3%84rger";
        let filter = of(query).unwrap();
        assert_eq!(filter.pairs().len(), 9);
        assert_eq!(of(filter.link(&[("limit", "5".to_owned())]).trim_start_matches('?')).unwrap(), filter);
        assert_eq!(RunFilter::default().link(&[]), "");
        assert_eq!(of("status=&label=&text=%20").unwrap(), RunFilter::default(), "fields of a form may be empty");
    }

    #[test]
    fn a_bad_condition_is_refused_by_name() {
        let long = format!("text={}", "x".repeat(257));
        for bad in ["status=happy", "code=FF9999", "since=yesterday", "until=2026-13-01", "label=x", &long] {
            let refused = of(bad).unwrap_err();
            assert!(
                bad.starts_with("label") || refused.to_string().contains(bad.split('=').next().unwrap()),
                "{refused}"
            );
        }
    }

    #[test]
    fn times_are_relative_to_now() {
        let now = 1_798_131_600_000;
        let query = of("since=2h&until=1h").unwrap().query(None, now, (None, 7));
        assert_eq!((query.since, query.until, query.limit), (Some(now - 7_200_000), Some(now - 3_600_000), 7));
    }
}
