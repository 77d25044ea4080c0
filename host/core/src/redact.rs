//! The one place that hides secrets in what people and programs may see: errors, logs, traces, pictures, exports,
//! differences and the configuration. [`Rules`] say what is hidden in payloads.
//!
//! Hidden are the user and password of a URL, the values of its query and its fragment, and the values of a call's headers and
//! query parameters; and the path of a callback, since the paths of webhooks are secret. What is hidden reads [`HIDDEN`], so that
//! everybody sees that there is something.

mod rules;

pub use rules::{BadRule, Rules, Unreadable};

use crate::definition::{Branches, Call, Dag, Definition, NodeKind, Operation};
use std::fmt::Write as _;

/// What stands in place of a secret.
pub const HIDDEN: &str = "***";

/// Characters that end a URL in a text.
const ENDS: [char; 8] = [' ', '\t', '\r', '\n', '`', '"', '<', '>'];

/// A URL without its user, its password, the values of its query and its fragment: `http://***@host/path?name=***`. The names
/// in the query remain.
///
/// A store's address, such as `redis://host?prefix=a`, has options in its query. Only those that may be secret are hidden.
pub fn url(url: &str) -> String {
    let (head, query) = without_user(url);
    head + &hidden_query(query, is_http(url))
}

/// A URL as errors, logs and traces name it, without its user, password, query and fragment.
pub fn place(url: &str) -> String {
    without_user(url).0
}

/// A URL of which even the path may be secret, as that of a webhook: only its scheme, host and port, and whether anything follows
/// them: `http://***@host:81/…`.
pub fn origin(url: &str) -> String {
    let (place, query) = without_user(url);
    let (scheme, rest) = place.split_at(place.find("://").map_or(0, |at| at + 3));
    let authority = authority(rest);
    // Without `//`, the user is still there.
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    let path = rest.get(authority.len()..).unwrap_or_default();
    let path = if path.len() > 1 || !query.is_empty() { "/…" } else { path };
    format!("{scheme}{host}{path}")
}

/// Text in which every URL is shown as by [`url`], and so is `user:password@host` without a scheme.
pub fn text(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme = rest.get(..at).unwrap_or_default();
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
        let begin = scheme.trim_end_matches(is_scheme).len();
        shown.push_str(&bare(rest.get(..begin).unwrap_or_default()));
        let from = rest.get(begin..).unwrap_or_default();
        let (address, after) = from.split_at(end(from, at - begin + 3));
        shown.push_str(&url(address));
        rest = after;
    }
    shown + &bare(rest)
}

/// A definition without the secrets of its calls.
pub fn definition(definition: &Definition) -> Definition {
    let mut shown = definition.clone();
    dag(&mut shown.dag);
    shown
}

/// A call without its secrets.
pub fn call(call: &mut Call) {
    call.target = url(&call.target);
    for (_, value) in call.headers.iter_mut().chain(&mut call.query) {
        HIDDEN.clone_into(value);
    }
}

fn dag(shown: &mut Dag) {
    let branches = |branches: &mut Branches| branches.dags.iter_mut().for_each(|branch| dag(&mut branch.dag));
    for node in &mut shown.nodes {
        match &mut node.kind {
            NodeKind::Operations(operations) => {
                for operation in &mut operations.list {
                    if let Operation::Apply(one) | Operation::Request(one) = operation {
                        call(one);
                    }
                }
            }
            NodeKind::SubDag(inside) => dag(inside),
            NodeKind::Condition(inside) | NodeKind::ForEach(inside) => branches(inside),
            NodeKind::Repeat(inside) => dag(&mut inside.dag),
        }
    }
}

/// A URL up to its query, with its user and password hidden; and the query with the fragment.
fn without_user(url: &str) -> (String, &str) {
    let query = |from: usize| {
        let rest = url.get(from..).unwrap_or_default();
        rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()))
    };
    let Some(begin) = url.find("://").map(|at| at + 3) else {
        let (head, query) = query(0);
        return (head.to_owned(), query);
    };
    let (scheme, rest) = url.split_at(begin);
    // In a password that is not percent-encoded, these characters would end the authority too early.
    let user = match rest.rfind('@') {
        Some(at) if is_odd(authority(rest)) => Some(at),
        _ if is_http(url) && !authority(rest).contains('@') => None,
        _ => query(begin).0.rfind('@'),
    };
    let (host, query) = query(begin + user.unwrap_or_default());
    let hidden = if user.is_some() { HIDDEN } else { "" };
    (format!("{scheme}{hidden}{host}"), query)
}

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://") || !url.contains("://")
}

/// What precedes the path.
fn authority(rest: &str) -> &str {
    rest.split(['/', '\\', '?', '#']).next().unwrap_or_default()
}

/// Whether this cannot be a host and port, so that it is probably the beginning of a user and password.
fn is_odd(authority: &str) -> bool {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match host.rfind(']') {
        Some(at) => host.split_at(at + 1),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    host.is_empty() || !port.strip_prefix(':').unwrap_or(port).bytes().all(|byte| byte.is_ascii_digit())
}

fn hidden_query(query: &str, hides_all: bool) -> String {
    let (options, fragment) = query.split_at(query.find('#').unwrap_or(query.len()));
    let mut shown = String::new();
    for (at, option) in options.strip_prefix('?').into_iter().flat_map(|options| options.split('&')).enumerate() {
        shown.push(if at == 0 { '?' } else { '&' });
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (Some(name), value),
            None => (None, option),
        };
        if let Some(name) = name {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{name}=");
        }
        let is_hidden = !value.is_empty() && (hides_all || name.is_some_and(may_be_secret));
        // A value that is a URL itself is shown without its query.
        let value = if value.contains("://") { place(value) } else { value.to_owned() };
        shown.push_str(if is_hidden { HIDDEN } else { &value });
    }
    if fragment.len() > 1 {
        let _ = write!(shown, "#{HIDDEN}");
    }
    shown
}

/// Whether an option of this name may hold a secret.
fn may_be_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "pwd", "token", "secret", "key", "auth", "cred", "sig"].iter().any(|part| name.contains(part))
}

/// Where the URL at the beginning of a text ends. Its authority begins at `begin`.
fn end(text: &str, begin: usize) -> usize {
    let delimiter = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.find(|c| c == ',' || ENDS.contains(&c)).map_or(text.len(), |at| from + at)
    };
    let rest = text.get(begin..).unwrap_or_default();
    let first = delimiter(begin);
    let before = text.get(begin..first).unwrap_or_default();
    if before.contains('@') || !is_odd(authority(before)) {
        return first;
    }
    // A password with a comma or a space: its `@` comes before the next URL.
    let until = rest.find("://").unwrap_or(rest.len());
    rest.get(..until).and_then(|rest| rest.find('@')).map_or(first, |at| delimiter(begin + at))
}

/// Hides `user:password@` and options that may be secret in a text without `://`. The paths of files may look so, too.
fn bare(text: &str) -> String {
    let word = |word: &str| {
        let (word, delimiter) = word.split_at(word.find(ENDS).unwrap_or(word.len()));
        let (place, query) = word.split_at(word.find('?').unwrap_or(word.len()));
        let (name, value) = place.split_at(place.rfind('=').map_or(0, |at| at + 1));
        let is_path = ["sqlite:", "files:"].iter().any(|scheme| value.starts_with(scheme));
        let user = value.rfind('@').filter(|at| !is_path && value.get(..*at).is_some_and(|user| user.contains(':')));
        let hidden = if user.is_some() { HIDDEN } else { "" };
        let host = value.get(user.unwrap_or_default()..).unwrap_or_default();
        format!("{name}{hidden}{host}{}{delimiter}", hidden_query(query, user.is_some()))
    };
    if text.contains(['@', '?']) { text.split_inclusive(ENDS).map(word).collect() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_place_and_the_names_of_its_query() {
        for (given, shown) in [
            ("http://ann:s3cret@host:81/a/b?key=s3cret&b=#s3cret", "http://***@host:81/a/b?key=***&b=#***"),
            ("http://s3cret@host", "http://***@host"),
            ("https://host/@scope/a@b", "https://host/@scope/a@b"),
            ("https://[::1]:8080/a?s3cret", "https://[::1]:8080/a?***"),
            ("http://u:s3/cr?e#t@host/a", "http://***@host/a"),
            ("http://u:s3cret@host/a@b", "http://***@b"),
            ("wc/lines?key=s3cret", "wc/lines?key=***"),
            ("redis://:s3/cr@et@r:1/0?prefix=a&password=s3cret", "redis://***@r:1/0?prefix=a&password=***"),
            (
                "s3://bucket?endpoint=http://u:s3cret@e&secret-key=s3cret",
                "s3://bucket?endpoint=http://***@e&secret-key=***",
            ),
        ] {
            assert_eq!(url(given), shown);
        }
    }

    #[test]
    fn a_place_has_no_query() {
        assert_eq!(place("http://ann:s3cret@host:81/a/b?key=s3cret#s3cret"), "http://***@host:81/a/b");
        assert_eq!(place("func1/part?key=s3cret"), "func1/part");
    }

    #[test]
    fn an_origin_has_nothing_that_follows_the_host() {
        for (given, shown) in [
            ("https://hooks.slack.com/services/T0/B0/s3cret", "https://hooks.slack.com/…"),
            ("http://ann:s3cret@host:81/s3cret?key=s3cret#s3cret", "http://***@host:81/…"),
            ("http://host?s3cret", "http://host/…"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://host/", "http://host/"),
            ("http://u:s3/cr?e#t@host/s3cret", "http://***@host/…"),
            ("http://host\\s3cret", "http://host/…"),
            ("http:ann:s3cret@host/s3cret", "***@host/…"),
            ("hooks.slack.com/s3cret", "hooks.slack.com/…"),
            ("", ""),
        ] {
            assert_eq!(origin(given), shown, "{given}");
        }
    }

    #[test]
    fn no_password_is_shown_in_a_text() {
        for (given, shown) in [
            ("redis://u:s3cret@r:1/0?prefix=a", "redis://***@r:1/0?prefix=a"),
            ("consul://c?token=s3cret&dc=d", "consul://c?token=***&dc=d"),
            ("f=http://u:s3cret@a/x?k=s3cret,g=http://b", "f=http://***@a/x?k=***,g=http://b"),
            ("f=http://u:s3,cr et@a/x,g=http://b", "f=http://***@a/x,g=http://b"),
            ("sqlite:a@b.db", "sqlite:a@b.db"),
            ("s3://bucket?endpoint=http://e", "s3://bucket?endpoint=http://e"),
            ("no answer from http://u:s3cret@h/p: refused", "no answer from http://***@h/p: refused"),
            ("invalid value 'u:s3cret@gw' for <URL>", "invalid value ***@gw' for <URL>"),
            ("f=u:s3cret@gw?a=s3cret", "f=***@gw?a=***"),
            ("consul:c?token=s3cret&dc=d why?", "consul:c?token=***&dc=d why?"),
            ("mail ann@host: hello", "mail ann@host: hello"),
        ] {
            assert_eq!(text(given), shown);
        }
    }

    #[test]
    fn the_calls_of_every_dag_are_redacted() {
        let secret = || vec![("name".to_owned(), "s3cret".to_owned())];
        let one =
            |target: &str| Call { target: target.to_owned(), headers: secret(), query: secret(), ..Call::default() };
        let list = vec![Operation::Apply(one("f?a=s3cret")), Operation::Request(one("http://s3cret@h/p?a=s3cret"))];
        let node = |id: &str, kind| crate::definition::Node { id: id.to_owned(), kind };
        let operations = crate::definition::Operations { list, ..Default::default() };
        let inner = Dag { nodes: vec![node("n", NodeKind::Operations(operations))], ..Dag::default() };
        let sub = Dag { nodes: vec![node("s", NodeKind::SubDag(inner))], ..Dag::default() };
        let branch = crate::definition::Branch { key: "k".to_owned(), dag: sub };
        let branches = Branches { dags: vec![branch], ..Branches::default() };
        let nodes = vec![node("c", NodeKind::Condition(branches.clone())), node("f", NodeKind::ForEach(branches))];
        let given = Definition { dag: Dag { nodes, ..Dag::default() }, ..Definition::default() };
        let shown = format!("{:?}", definition(&given));
        assert!(
            !shown.contains("s3cret") && shown.contains("http://***@h/p?a=***") && shown.contains("f?a=***"),
            "{shown}"
        );
    }
}
