//! What a request's caller says of its trace, as far as it is passed on: `traceparent` and `tracestate`
//! (<https://www.w3.org/TR/trace-context/>), and `baggage` (<https://www.w3.org/TR/baggage/>). What does not have the form that
//! these prescribe is dropped.

use super::settings::Propagators;
use opentelemetry::trace::{SpanId, TraceId};

pub(crate) const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";
/// The most members of a `tracestate`, and the most bytes of each key and value.
const STATE_LIMITS: (usize, usize) = (32, 256);
/// The most members of a `baggage`, and the most bytes of all together.
const BAGGAGE_LIMITS: (usize, usize) = (64, 8192);

/// What the caller of a run says of its trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Propagated {
    parent: Option<String>,
    /// Belongs to the parent.
    state: Option<String>,
    baggage: Option<String>,
    /// Which headers are read and passed on.
    propagators: Propagators,
}

impl Propagated {
    /// Reads a request's headers.
    pub(crate) fn of(headers: &[(String, String)], propagators: Propagators) -> Self {
        let all = |wanted: &'static str| {
            let matching = headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
            matching.map(|(_, value)| value.as_str())
        };
        let parent = all(TRACEPARENT).next().filter(|value| propagators.trace_context && parse(value).is_some());
        let state = parent.and_then(|_| state(all(TRACESTATE)));
        let baggage = if propagators.baggage { baggage(all(BAGGAGE)) } else { None };
        Self { parent: parent.map(str::to_owned), state, baggage, propagators }
    }

    /// The caller's trace and span, and whether it is sampled.
    pub(super) fn parent(&self) -> Option<(TraceId, SpanId, bool)> {
        parse(self.parent.as_ref()?)
    }

    /// The id of the caller's trace.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.parent().map(|(trace, _, _)| trace.to_string())
    }

    /// The headers of a request that is sent for the run, of which these are set already. `own` is the host's `traceparent`,
    /// if it traces the run. Nothing is added to a trace that the flow itself has set.
    pub(crate) fn headers(&self, set: &[(String, String)], own: Option<(String, String)>) -> Vec<(String, String)> {
        let is_set = |wanted: &str| set.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let header = |name: &str, value: &Option<String>| value.clone().map(|value| (name.to_owned(), value));
        let mut headers = Vec::new();
        if self.propagators.trace_context && !is_set(TRACEPARENT) {
            headers.extend(own.or_else(|| header(TRACEPARENT, &self.parent)));
            headers.extend(header(TRACESTATE, &self.state).filter(|_| !is_set(TRACESTATE)));
        }
        headers.extend(header(BAGGAGE, &self.baggage).filter(|_| !is_set(BAGGAGE)));
        headers
    }
}

/// The trace, the span and whether it is sampled. Headers of later versions begin with the same fields.
pub(super) fn parse(header: &str) -> Option<(TraceId, SpanId, bool)> {
    let mut parts = header.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |text: &str, digits| text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let valid = is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    if !valid || version == "00" && parts.next().is_some() {
        return None;
    }
    let trace = TraceId::from_hex(trace).ok()?;
    let span = SpanId::from_hex(span).ok()?;
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some((trace, span, sampled))
}

/// The members of lists that are spread over several headers.
fn members<'a>(values: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    values
        .flat_map(|value| value.split(','))
        .map(|member| member.trim_matches([' ', '\t']))
        .filter(|member| !member.is_empty())
}

/// A `tracestate`, unless anything is wrong with it.
fn state<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let (most, _) = STATE_LIMITS;
    let members: Vec<&str> = members(values).take(most + 1).collect();
    let keys = members.iter().map(|member| key_of_state(member)).collect::<Option<Vec<&str>>>()?;
    let is_unique = |(at, key): (usize, &&str)| keys.iter().take(at).all(|other| other != key);
    let good = !keys.is_empty() && keys.len() <= most && keys.iter().enumerate().all(is_unique);
    good.then(|| members.join(","))
}

fn key_of_state(member: &str) -> Option<&str> {
    let (_, most) = STATE_LIMITS;
    let (key, value) = member.split_once('=')?;
    let is_begin = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good_key = key.bytes().next().is_some_and(is_begin)
        && key.bytes().all(|b| is_begin(b) || b"_-*/@".contains(&b))
        && key.matches('@').count() <= 1;
    let good_value = !value.is_empty() && value.bytes().all(|b| matches!(b, b' '..=b'~') && !b",=".contains(&b));
    (good_key && good_value && key.len() <= most && value.len() <= most).then_some(key)
}

/// The members of a `baggage` that have the right form, as many as it may have.
fn baggage<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let (most, size) = BAGGAGE_LIMITS;
    let mut kept = String::new();
    for member in members(values).filter(|member| is_baggage(member)).take(most) {
        let comma = if kept.is_empty() { "" } else { "," };
        if kept.len() + comma.len() + member.len() <= size {
            kept.push_str(comma);
            kept.push_str(member);
        }
    }
    Some(kept).filter(|kept| !kept.is_empty())
}

/// Whether this is `key=value`, perhaps with properties: `;key` or `;key=value`.
fn is_baggage(member: &str) -> bool {
    let is_token = |key: &str| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let is_value = |value: &str| value.bytes().all(|b| b.is_ascii_graphic() && !b"\",;\\".contains(&b));
    let trimmed = |text: &'_ str| text.trim_matches([' ', '\t']).to_owned();
    let is_pair = |(key, value): (&str, &str)| is_token(&trimmed(key)) && is_value(&trimmed(value));
    let mut parts = member.split(';');
    parts.next().and_then(|pair| pair.split_once('=')).is_some_and(is_pair)
        && parts.all(|property| property.split_once('=').map_or_else(|| is_token(&trimmed(property)), is_pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn passed_on(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        Propagated::of(&owned(headers), Propagators::default()).headers(&[], None)
    }

    #[test]
    fn a_state_goes_along_with_its_parent() {
        let state = ("Tracestate", " congo=t61rcWkgMzE,,rojo=00f067aa0ba902b7 ");
        let more = ("tracestate", "fw529a3039@dt=FfFf;3 x:y");
        let whole = ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7,fw529a3039@dt=FfFf;3 x:y");
        let parent = ("Traceparent", PARENT);
        assert_eq!(passed_on(&[state, parent, more]), owned(&[("traceparent", PARENT), whole]));
        assert_eq!(passed_on(&[state]), []);
        assert_eq!(passed_on(&[("traceparent", "00-1-2-01"), state]), []);
    }

    #[test]
    fn a_state_is_dropped_as_a_whole_if_anything_is_wrong_with_it() {
        let state = |value: &str| {
            let headers = passed_on(&[("traceparent", PARENT), ("tracestate", value)]);
            headers.into_iter().find(|(name, _)| name == TRACESTATE).map(|(_, value)| value)
        };
        let many = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
        for good in ["a=b".to_owned(), "0a/b_c-d*e=x y".to_owned(), many(32), format!("a={}", "v".repeat(256))] {
            assert_eq!(state(&good), Some(good));
        }
        for bad in [
            "",
            ",",
            "a",
            "a=",
            "=b",
            "A=b",
            "a=b=c",
            "a=b,a=c",
            "a@b@c=d",
            "a=\u{e9}",
            "a=b,c d=e",
            &many(33),
            &format!("a={}", "v".repeat(257)),
            &format!("{}=v", "a".repeat(257)),
        ] {
            assert_eq!(state(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_the_baggage_what_is_malformed_or_too_much_is_dropped() {
        let baggage = |value: &str| passed_on(&[("BAGGAGE", value)]).pop().map(|(_, value)| value);
        for (given, kept) in [
            (
                "userId=alice,serverNode=DF%2028,isProduction=false",
                "userId=alice,serverNode=DF%2028,isProduction=false",
            ),
            ("k = v ; p ; q = 1 ,\tn=", "k = v ; p ; q = 1,n="),
            ("bad key=1,a=1,b,=c,d=\"e\",f=g h,h=\u{e9},i=\\,j=1;;", "a=1"),
        ] {
            assert_eq!(baggage(given).as_deref(), Some(kept), "{given}");
        }
        assert_eq!(baggage("nonsense"), None);
        let many: Vec<String> = (0..70).map(|at| format!("k{at}=v")).collect();
        assert_eq!(baggage(&many.join(",")).unwrap().split(',').count(), 64);
        let long = format!("a={},b=1,c={}", "v".repeat(8000), "v".repeat(300));
        assert_eq!(baggage(&long).unwrap().len(), 2 + 8000 + 4);
    }

    #[test]
    fn what_the_flow_has_set_itself_is_left_alone() {
        let caller = Propagated::of(
            &owned(&[("traceparent", PARENT), ("tracestate", "a=b"), ("baggage", "c=d")]),
            Propagators::default(),
        );
        let own = (TRACEPARENT.to_owned(), "own".to_owned());
        let with = |set: &[(&str, &str)]| caller.headers(&owned(set), Some(own.clone()));
        assert_eq!(with(&[]), owned(&[("traceparent", "own"), ("tracestate", "a=b"), ("baggage", "c=d")]));
        assert_eq!(with(&[("Traceparent", "x")]), owned(&[("baggage", "c=d")]));
        assert_eq!(with(&[("Baggage", "x")]), owned(&[("traceparent", "own"), ("tracestate", "a=b")]));
    }

    #[test]
    fn headers_that_are_switched_off_are_neither_read_nor_sent() {
        let given = owned(&[("traceparent", PARENT), ("tracestate", "a=b"), ("baggage", "c=d")]);
        let own = || Some((TRACEPARENT.to_owned(), "own".to_owned()));
        let with = |trace_context, baggage| Propagated::of(&given, Propagators { trace_context, baggage });
        assert_eq!(with(false, true).headers(&[], own()), owned(&[("baggage", "c=d")]));
        assert_eq!(with(false, true).parent(), None);
        assert_eq!(with(true, false).headers(&[], None), owned(&[("traceparent", PARENT), ("tracestate", "a=b")]));
        assert_eq!(with(false, false).headers(&[], own()), []);
    }

    proptest::proptest! {
        #[test]
        fn what_is_passed_on_is_within_the_limits_and_can_be_sent(
            state in "[ a-z=,;@\u{e9}\"]{0,60}",
            baggage in "[ a-z=,;@\u{e9}\"]{0,60}",
        ) {
            let sent = passed_on(&[("traceparent", PARENT), ("tracestate", &state), ("baggage", &baggage)]);
            for (name, value) in &sent {
                proptest::prop_assert!(value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')), "{}: {}", name, value);
            }
            // It would be passed on unchanged.
            proptest::prop_assert_eq!(Propagated::of(&sent, Propagators::default()).headers(&[], None), sent);
        }
    }
}
