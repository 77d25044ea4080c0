//! The formats of OpenTelemetry's variables, as its specification describes them, and of servers that receive spans.

use super::{Format, Rule, Server};
use crate::config::tracing::TraceServer;
use faas_flow_replica::traces::Propagators;
use percent_encoding::percent_decode_str;
use std::time::Duration;

/// A format that does not tell capital letters from small ones.
pub(crate) struct AnyCase<F>(pub F);

impl<T, F: Format<T>> Format<T> for AnyCase<F> {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn placeholder(&self) -> &'static str {
        self.0.placeholder()
    }

    fn parse(&self, text: &str) -> Result<T, Rule> {
        self.0.parse(&text.to_ascii_lowercase())
    }

    fn words(&self) -> Vec<&'static str> {
        self.0.words()
    }
}

/// A number of milliseconds.
pub(crate) struct Millis;

impl Format<Duration> for Millis {
    fn describe(&self) -> String {
        "milliseconds".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "MILLISECONDS"
    }

    fn parse(&self, text: &str) -> Result<Duration, Rule> {
        let millis = text.parse().map_err(|_| "must be a whole number of milliseconds".to_owned());
        millis.map(Duration::from_millis)
    }
}

/// A time limit in milliseconds, of which 0 means that there is no limit.
pub(crate) struct MillisLimit;

impl Format<Option<Duration>> for MillisLimit {
    fn describe(&self) -> String {
        Millis.describe()
    }

    fn placeholder(&self) -> &'static str {
        Millis.placeholder()
    }

    fn parse(&self, text: &str) -> Result<Option<Duration>, Rule> {
        Millis.parse(text).map(|time| Some(time).filter(|time| !time.is_zero()))
    }
}

/// A part of all, from 0 to 1.
pub(crate) struct Ratio;

impl Format<f64> for Ratio {
    fn describe(&self) -> String {
        "number from 0 to 1".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "NUMBER"
    }

    fn parse(&self, text: &str) -> Result<f64, Rule> {
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| "must be a number from 0 to 1".to_owned())
    }
}

/// Pairs of a key and a value, `key=value,key=value`, in which values are percent-encoded.
pub(crate) struct Pairs {
    is_key: fn(&str) -> bool,
    is_value: fn(&str) -> bool,
    rule: &'static str,
}

impl Pairs {
    /// Headers of requests.
    pub const HEADERS: Pairs = Pairs {
        is_key: |key| {
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        },
        is_value: |value| value.bytes().all(|b| matches!(b, b' '..=b'~')),
        rule: "must be headers as in `api-key=abc,team=x%20y`",
    };
    /// Attributes.
    pub const ATTRIBUTES: Pairs = Pairs {
        is_key: |key| !key.is_empty(),
        is_value: |_| true,
        rule: "must be attributes as in `team=a,region=x%20y`, in which commas and equals signs are percent-encoded",
    };

    fn pair(&self, text: &str) -> Option<(String, String)> {
        let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(|text| text.into_owned());
        let (key, value) = text.split_once('=')?;
        let (key, value) = (decoded(key)?, decoded(value)?);
        ((self.is_key)(&key) && (self.is_value)(&value)).then_some((key, value))
    }
}

impl Format<Vec<(String, String)>> for Pairs {
    fn describe(&self) -> String {
        "`KEY=VALUE,…`".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "KEY=VALUE"
    }

    fn parse(&self, text: &str) -> Result<Vec<(String, String)>, Rule> {
        let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
        pairs.map(|pair| self.pair(pair).ok_or_else(|| self.rule.to_owned())).collect()
    }
}

/// Which headers about traces are read and passed on.
pub(crate) struct PropagatorList;

impl Format<Propagators> for PropagatorList {
    fn describe(&self) -> String {
        "list of `tracecontext`, `baggage`, or `none`".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "PROPAGATORS"
    }

    fn parse(&self, text: &str) -> Result<Propagators, Rule> {
        let mut found = Propagators::NONE;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "tracecontext" => found.trace_context = true,
                "baggage" => found.baggage = true,
                "none" => {}
                _ => return Err("must list tracecontext and baggage, or be none; no others are supported".to_owned()),
            }
        }
        Ok(found)
    }
}

/// A server that receives spans.
pub(crate) struct TraceServers;

impl Format<TraceServer> for TraceServers {
    fn describe(&self) -> String {
        "`HOST:PORT`, URL or `jaeger-agent://HOST:PORT`".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "URL"
    }

    fn parse(&self, text: &str) -> Result<TraceServer, Rule> {
        let Some(address) = text.strip_prefix("jaeger-agent://") else {
            return Server.parse(text).map(TraceServer::Url);
        };
        let url = Server.parse(&format!("http://{address}")).ok().and_then(|url| reqwest::Url::parse(&url).ok());
        let url = url.filter(|url| url.path() == "/");
        let host = url.as_ref().and_then(|url| url.host_str()).map(str::to_owned);
        // Port 80 is what a URL of HTTP has if it does not say.
        let port = url.as_ref().and_then(reqwest::Url::port);
        let host = host.ok_or_else(|| "must be jaeger-agent:// with a host and perhaps a port".to_owned())?;
        Ok(TraceServer::JaegerAgent { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_are_percent_encoded() {
        let headers = Pairs::HEADERS.parse(" api-key = abc%3D%2C ,team=a b,").unwrap();
        assert_eq!(headers, [pair("api-key", "abc=,"), pair("team", "a b")]);
        let attributes = Pairs::ATTRIBUTES.parse("service.name=a%C3%A4,b=c=d").unwrap();
        assert_eq!(attributes, [pair("service.name", "aä"), pair("b", "c=d")]);
        for bad in ["a", "=b", "a b=c", "a=%0A", "a=\u{e9}", "ä=b", "a=%FF"] {
            assert!(Pairs::HEADERS.parse(bad).is_err(), "{bad}");
        }
        for bad in ["a", "=b", "a=%FF", "a=b,c"] {
            assert!(Pairs::ATTRIBUTES.parse(bad).is_err(), "{bad}");
        }
        assert!(!Pairs::HEADERS.parse("s3cret").unwrap_err().contains("s3cret"));
    }

    #[test]
    fn a_ratio_is_from_0_to_1() {
        assert_eq!(Ratio.parse("0.25"), Ok(0.25));
        for bad in ["", "-0.1", "1.1", "NaN", "inf", "half"] {
            assert!(Ratio.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_limit_of_zero_milliseconds_is_no_limit() {
        assert_eq!(MillisLimit.parse("0"), Ok(None));
        assert_eq!(MillisLimit.parse("250"), Ok(Some(Duration::from_millis(250))));
        for bad in ["-1", "1.5", "10s", ""] {
            assert!(Millis.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_propagators_that_are_known_are_taken() {
        let read = |text: &str| AnyCase(PropagatorList).parse(text);
        assert_eq!(read("TraceContext, baggage"), Ok(Propagators { trace_context: true, baggage: true }));
        assert_eq!(read("baggage,baggage"), Ok(Propagators { trace_context: false, baggage: true }));
        assert_eq!(read("none"), Ok(Propagators::NONE));
        assert!(read("tracecontext,xray").is_err());
    }

    #[test]
    fn a_server_of_traces_is_a_url_or_an_agent() {
        let agent = |host: &str, port| Ok(TraceServer::JaegerAgent { host: host.to_owned(), port });
        assert_eq!(TraceServers.parse("jaeger-agent://jaeger.faasflow:6831"), agent("jaeger.faasflow", Some(6831)));
        assert_eq!(TraceServers.parse("jaeger-agent://[::1]:5775"), agent("[::1]", Some(5775)));
        assert_eq!(TraceServers.parse("jaeger-agent://jaeger"), agent("jaeger", None));
        assert_eq!(TraceServers.parse("jaeger:5775"), Ok(TraceServer::Url("http://jaeger:5775".to_owned())));
        for bad in ["jaeger-agent://", "jaeger-agent://a/b", "jaeger-agent://u:p@a", "udp://a:1", "a:b"] {
            assert!(TraceServers.parse(bad).is_err(), "{bad}");
        }
    }
}
