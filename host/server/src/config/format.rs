//! What the values of keys look like: each format reads text into a type, and knows its unit and its range.

use faas_flow_core::schedule::ScheduleEntry;
use faas_flow_core::{ShownDuration, parse_duration};
use faas_flow_replica::CREDENTIAL_HEADERS;
use faas_flow_replica::network::{BadHost, HostPattern, PRIVATE, RequestProxy, SPECIAL, range};
use ipnet::IpNet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What a value must look like. It does not repeat the value that was refused, which may hold a password.
pub(crate) type Rule = String;

/// How a key is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occurrence {
    /// `--key VALUE`; the last one counts.
    Value,
    /// `--key` or `--key=true`.
    Switch,
    /// `--key ITEM` for each item.
    Items,
}

/// A format whose values are of type `T`.
pub(crate) trait Format<T>: Sync {
    /// The format in a few words of Markdown, for the documentation.
    fn describe(&self) -> String;

    /// What stands for the value in the help of a command.
    fn placeholder(&self) -> &'static str;

    /// Reads a value.
    fn parse(&self, text: &str) -> Result<T, Rule>;

    /// How the key is given on the command line.
    fn occurrence(&self) -> Occurrence {
        Occurrence::Value
    }

    /// Reads what follows one occurrence of the option.
    fn parse_option(&self, text: &str) -> Result<T, Rule> {
        self.parse(text)
    }

    /// Puts the values of all occurrences of the option together.
    fn combine(&self, mut values: Vec<T>) -> Option<T> {
        values.pop()
    }

    /// The words that are allowed, if only certain words are.
    fn words(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A format in which an empty text means that there is no value.
pub(crate) struct Optional<F>(pub F);

impl<T, F: Format<T>> Format<Option<T>> for Optional<F> {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn placeholder(&self) -> &'static str {
        self.0.placeholder()
    }

    fn parse(&self, text: &str) -> Result<Option<T>, Rule> {
        if text.is_empty() { Ok(None) } else { self.0.parse(text).map(Some) }
    }

    fn words(&self) -> Vec<&'static str> {
        self.0.words()
    }
}

/// Text that is checked where it is used, if at all.
pub(crate) struct Text {
    described: &'static str,
    placeholder: &'static str,
}

impl Text {
    pub const ANY: Text = Text { described: "text", placeholder: "TEXT" };
    /// An address to listen on.
    pub const LISTEN: Text = Text { described: "`HOST:PORT`", placeholder: "HOST:PORT" };
    /// A store's address: docs/stores.md.
    pub const STORE: Text = Text { described: "[store](stores.md)", placeholder: "STORE" };
}

impl Format<String> for Text {
    fn describe(&self) -> String {
        self.described.to_owned()
    }

    fn placeholder(&self) -> &'static str {
        self.placeholder
    }

    fn parse(&self, text: &str) -> Result<String, Rule> {
        without_nul(text).map(str::to_owned)
    }
}

/// A file or folder.
pub(crate) struct FilePath;

impl Format<PathBuf> for FilePath {
    fn describe(&self) -> String {
        "path".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "PATH"
    }

    fn parse(&self, text: &str) -> Result<PathBuf, Rule> {
        without_nul(text).map(PathBuf::from)
    }
}

fn without_nul(text: &str) -> Result<&str, Rule> {
    if text.contains('\0') { Err("must not contain a NUL character".to_owned()) } else { Ok(text) }
}

/// `true` or `false`, or what Go's `strconv.ParseBool` takes besides.
pub(crate) struct Switch;

impl Format<bool> for Switch {
    fn describe(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "true|false"
    }

    fn parse(&self, text: &str) -> Result<bool, Rule> {
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Switch
    }
}

/// A duration in a range: whole seconds, or as Go writes durations.
pub(crate) struct Time(RangeInclusive<Duration>);

impl Time {
    /// Any duration.
    pub const ANY: Time = Time(Duration::ZERO..=Duration::MAX);

    pub const fn millis(range: RangeInclusive<u64>) -> Time {
        Time(Duration::from_millis(*range.start())..=Duration::from_millis(*range.end()))
    }
}

impl Format<Duration> for Time {
    fn describe(&self) -> String {
        "time".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "TIME"
    }

    fn parse(&self, text: &str) -> Result<Duration, Rule> {
        let time = parse_duration(text)
            .ok_or_else(|| "must be whole seconds or a duration, as in 30, 10s, 1m30s or 500ms".to_owned())?;
        if self.0.contains(&time) {
            return Ok(time);
        }
        Err(format!("must be between {} and {}", ShownDuration(*self.0.start()), ShownDuration(*self.0.end())))
    }
}

/// A time limit: any duration, of which 0 means that there is no limit.
pub(crate) struct TimeLimit;

impl Format<Option<Duration>> for TimeLimit {
    fn describe(&self) -> String {
        Time::ANY.describe()
    }

    fn placeholder(&self) -> &'static str {
        Time::ANY.placeholder()
    }

    fn parse(&self, text: &str) -> Result<Option<Duration>, Rule> {
        Time::ANY.parse(text).map(|time| Some(time).filter(|time| !time.is_zero()))
    }
}

/// A number of bytes, at least this one, optionally with `KiB`, `MiB` or `GiB`.
pub(crate) struct Size(pub usize);

impl Format<usize> for Size {
    fn describe(&self) -> String {
        "size".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "SIZE"
    }

    fn parse(&self, text: &str) -> Result<usize, Rule> {
        let size =
            bytes(text).ok_or_else(|| "must be a number of bytes, as in 1000, 32KiB, 64MiB or 1GiB".to_owned())?;
        if size < self.0 { Err(format!("must be at least {} bytes", self.0)) } else { Ok(size) }
    }
}

fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at_checked(digits)?;
    let factor: usize = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return None,
    };
    count.parse::<usize>().ok()?.checked_mul(factor)
}

/// A whole number, at least this one.
pub(crate) struct Count<N>(pub N);

impl<N: FromStr + PartialOrd + Display + Sync> Format<N> for Count<N> {
    fn describe(&self) -> String {
        "number".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "COUNT"
    }

    fn parse(&self, text: &str) -> Result<N, Rule> {
        text.parse()
            .ok()
            .filter(|count| *count >= self.0)
            .ok_or_else(|| format!("must be a whole number, at least {}", self.0))
    }
}

/// A TCP port. What 0 means is up to the key.
pub(crate) struct Port;

impl Format<u16> for Port {
    fn describe(&self) -> String {
        "port".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "PORT"
    }

    fn parse(&self, text: &str) -> Result<u16, Rule> {
        text.parse().map_err(|_| "must be a port number from 0 to 65535".to_owned())
    }
}

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

/// One of certain words, each of which stands for a value.
pub(crate) struct Words<T: 'static> {
    placeholder: &'static str,
    words: &'static [(&'static str, T)],
}

impl<T> Words<T> {
    pub const fn new(placeholder: &'static str, words: &'static [(&'static str, T)]) -> Self {
        Self { placeholder, words }
    }
}

impl<T: Copy + Sync> Format<T> for Words<T> {
    fn describe(&self) -> String {
        self.words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    }

    fn placeholder(&self) -> &'static str {
        self.placeholder
    }

    fn parse(&self, text: &str) -> Result<T, Rule> {
        let found = self.words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| format!("must be one of {}", self.words().join(", ")))
    }

    fn words(&self) -> Vec<&'static str> {
        self.words.iter().map(|(word, _)| *word).collect()
    }
}

/// Several texts, separated by commas.
pub(crate) struct List;

impl Format<Vec<String>> for List {
    fn describe(&self) -> String {
        "list".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "ITEM"
    }

    fn parse(&self, text: &str) -> Result<Vec<String>, Rule> {
        let items = without_nul(text)?.split(',').map(str::trim);
        Ok(items.filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    /// An option is given once for each item, which may contain commas.
    fn parse_option(&self, text: &str) -> Result<Vec<String>, Rule> {
        Ok(vec![without_nul(text)?.to_owned()])
    }

    fn combine(&self, values: Vec<Vec<String>>) -> Option<Vec<String>> {
        Some(values.concat())
    }
}

/// Schedules, a line each.
pub(crate) struct Schedules;

impl Format<Vec<ScheduleEntry>> for Schedules {
    fn describe(&self) -> String {
        "[schedules](schedules.md#in-the-configuration), a line each".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "NAME=WHEN"
    }

    fn parse(&self, text: &str) -> Result<Vec<ScheduleEntry>, Rule> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let read = |line| ScheduleEntry::parse(line).map_err(|bad| format!("has a line that is no schedule: {bad}"));
        lines.map(read).collect()
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<ScheduleEntry>>) -> Option<Vec<ScheduleEntry>> {
        Some(values.concat())
    }
}

/// Headers with credentials that runs keep. The values are their names in lower case.
pub(crate) struct CredentialHeaders;

impl Format<Vec<&'static str>> for CredentialHeaders {
    fn describe(&self) -> String {
        "list".to_owned()
    }

    fn placeholder(&self) -> &'static str {
        "HEADER"
    }

    fn parse(&self, text: &str) -> Result<Vec<&'static str>, Rule> {
        let known = |name: &str| CREDENTIAL_HEADERS.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| known(name).ok_or_else(|| self.rule())).collect()
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::Items
    }

    fn combine(&self, values: Vec<Vec<&'static str>>) -> Option<Vec<&'static str>> {
        Some(values.concat())
    }
}

impl CredentialHeaders {
    fn rule(&self) -> Rule {
        format!("must be among {}; a run keeps all other headers anyway", CREDENTIAL_HEADERS.join(", "))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, size) in [("0", 0), ("100", 100), ("32KiB", 32 << 10), ("64 MiB", 64 << 20), ("1Gi", 1 << 30)] {
            assert_eq!(Size(0).parse(text), Ok(size), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.5MiB", "1MB", "99999999999999999999", "17179869184GiB"] {
            assert!(Size(0).parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn zero_is_refused_where_it_makes_no_sense() {
        assert_eq!(Size(1).parse("0").unwrap_err(), "must be at least 1 bytes");
        assert_eq!(Size(1).parse("1"), Ok(1));
        assert!(Time::millis(1..=1000).parse("0").is_err());
    }

    #[test]
    fn a_server_is_a_host_and_port_as_in_the_original_or_a_url() {
        assert_eq!(Server.parse("gateway.openfaas:8080").as_deref(), Ok("http://gateway.openfaas:8080"));
        assert_eq!(Server.parse("https://gw.example/").as_deref(), Ok("https://gw.example"));
        for bad in [
            "",
            "ftp://gw",
            "http://",
            "http://u:p@gw",
            "gw:port",
            "gw:99999",
            "gw?x=1",
            "gw#x",
            "https://gw/a#",
            "a b",
            "gw:",
        ] {
            assert!(Server.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let origins = Origins.parse("https://App.Example, http://localhost:3000/,https://app.example:443");
        assert_eq!(origins.unwrap(), ["https://app.example", "http://localhost:3000", "https://app.example"]);
        for bad in
            ["app.example", "*", "null", "https://", "https://a/b", "https://a?b", "https://u@a", "ftp://a", "file:///"]
        {
            assert!(Origins.parse(bad).is_err(), "{bad}");
        }
        assert_eq!(CorsOrigins.parse(" * ").unwrap(), ["*"]);
        assert_eq!(CorsOrigins.parse("https://app.example").unwrap(), ["https://app.example"]);
        assert!(CorsOrigins.parse("https://app.example,*").is_err());
    }

    #[test]
    fn a_time_must_be_in_its_range() {
        let hour = Time::millis(100..=3_600_000);
        assert_eq!(hour.parse("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(hour.parse("3600"), Ok(Duration::from_secs(3600)));
        assert_eq!(hour.parse("10000").unwrap_err(), "must be between 100 ms and 1 h");
        assert!(hour.parse("99ms").is_err());
    }

    #[test]
    fn a_time_limit_of_zero_is_no_limit() {
        assert_eq!(TimeLimit.parse("0"), Ok(None));
        assert_eq!(TimeLimit.parse("1m"), Ok(Some(Duration::from_secs(60))));
    }

    #[test]
    fn an_option_that_lists_items_does_not_split_them() {
        assert_eq!(List.parse(" a=1, b ,,"), Ok(vec!["a=1".to_owned(), "b".to_owned()]));
        let given = ["a,b", "c"].map(|item| List.parse_option(item).unwrap());
        assert_eq!(List.combine(given.into()), Some(vec!["a,b".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn a_value_that_is_refused_is_not_repeated() {
        let secret = "s3cret:s3cret@s3cret?";
        let words: Words<u8> = Words::new("WORD", &[("a", 0), ("b", 1)]);
        for rule in [
            Switch.parse(secret).unwrap_err(),
            Time::ANY.parse(secret).unwrap_err(),
            Size(1).parse(secret).unwrap_err(),
            Count(1_usize).parse(secret).unwrap_err(),
            Port.parse(secret).unwrap_err(),
            Server.parse(secret).unwrap_err(),
            Origins.parse(secret).unwrap_err(),
            CorsOrigins.parse(secret).unwrap_err(),
            Hosts.parse(secret).unwrap_err(),
            Ranges.parse(secret).unwrap_err(),
            words.parse(secret).unwrap_err(),
        ] {
            assert!(!rule.contains("s3cret"), "{rule}");
        }
    }
}
