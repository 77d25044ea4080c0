//! Servers, proxies, hosts that may be called, and origins of pages.

use super::{Format, List, Occurrence, Rule};
use faas_flow_replica::network::{BadHost, HostPattern, PRIVATE, RequestProxy, SPECIAL, range};
use ipnet::IpNet;

/// A server: `HOST:PORT`, or an http or https URL. The value is a URL without a slash at its end.
pub(crate) struct Server;

impl Format<String> for Server {
    fn describe(&self) -> String {
        "`HOST:PORT` or URL".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "URL"
    }

    fn parse(&self, text: &str) -> Result<String, Rule> {
        url(text).ok_or_else(|| {
            "must be HOST:PORT or an http or https URL, without a user name, a password, a query or a fragment"
                .to_owned()
        })
    }
}

fn url(text: &str) -> Option<String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let parsed = reqwest::Url::parse(&whole).ok()?;
    let plain = parsed.username().is_empty() && parsed.password().is_none();
    let plain = plain && parsed.query().is_none() && parsed.fragment().is_none();
    let good = matches!(parsed.scheme(), "http" | "https") && parsed.has_host() && plain && !text.ends_with(':');
    good.then(|| whole.trim_end_matches('/').to_owned())
}

/// A proxy: `environment`, `none`, or an http or https URL, which may have a user and a password.
pub(crate) struct Proxy;

impl Format<RequestProxy> for Proxy {
    fn describe(&self) -> String {
        "`environment`, `none` or URL".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "PROXY"
    }

    fn parse(&self, text: &str) -> Result<RequestProxy, Rule> {
        let is_proxy = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        match text {
            "environment" => Ok(RequestProxy::Environment),
            "none" => Ok(RequestProxy::Direct),
            url if reqwest::Url::parse(url).is_ok_and(|url| is_proxy(&url)) => Ok(RequestProxy::At(url.to_owned())),
            _ => Err("must be environment, none, or the http or https URL of a proxy".to_owned()),
        }
    }
}

/// Hosts that may be called.
pub(crate) struct Hosts;

impl Format<Vec<HostPattern>> for Hosts {
    fn describe(&self) -> String {
        "list".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "HOST"
    }

    fn parse(&self, text: &str) -> Result<Vec<HostPattern>, Rule> {
        let hosts = List.parse(text)?;
        hosts.iter().map(|host| host.parse().map_err(|bad: BadHost| bad.to_string())).collect()
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<HostPattern>>) -> Option<Vec<HostPattern>> {
        Some(values.concat())
    }
}

/// Addresses and ranges of addresses, of which some have a word.
pub(crate) struct Ranges;

impl Format<Vec<IpNet>> for Ranges {
    fn describe(&self) -> String {
        "list".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "RANGE"
    }

    fn parse(&self, text: &str) -> Result<Vec<IpNet>, Rule> {
        let mut ranges = Vec::new();
        for item in List.parse(text)? {
            match (item.as_str(), range(&item)) {
                ("special", _) => ranges.extend(SPECIAL),
                ("private", _) => ranges.extend(PRIVATE),
                ("none", _) => {}
                (_, Some(range)) => ranges.push(range),
                (_, None) => {
                    return Err("must be special, private, none, addresses or ranges, as in 10.0.0.0/8".to_owned());
                }
            }
        }
        Ok(ranges)
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<IpNet>>) -> Option<Vec<IpNet>> {
        Some(values.concat())
    }
}

/// Origins of pages, separated by commas: each a scheme, a host and perhaps a port. The values are written as browsers do.
pub(crate) struct Origins;

impl Format<Vec<String>> for Origins {
    fn describe(&self) -> String {
        "list of origins".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "ORIGIN"
    }

    fn parse(&self, text: &str) -> Result<Vec<String>, Rule> {
        let origin = |item: &String| {
            origin(item).ok_or_else(|| {
                "must be http:// or https:// with a host and perhaps a port, and nothing else".to_owned()
            })
        };
        List.parse(text)?.iter().map(origin).collect()
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<String>>) -> Option<Vec<String>> {
        Some(values.concat())
    }
}

/// Origins of pages, or `*` for all.
pub(crate) struct CorsOrigins;

impl Format<Vec<String>> for CorsOrigins {
    fn describe(&self) -> String {
        "list of origins, or `*`".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "ORIGIN"
    }

    fn parse(&self, text: &str) -> Result<Vec<String>, Rule> {
        if text.trim() == "*" { Ok(vec!["*".to_owned()]) } else { Origins.parse(text) }
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<String>>) -> Option<Vec<String>> {
        Some(values.concat())
    }
}

fn origin(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let origin = url.origin().ascii_serialization();
    let whole = url.as_str() == format!("{origin}/") && !text.ends_with(['?', '#']);
    (whole && matches!(url.scheme(), "http" | "https")).then_some(origin)
}
