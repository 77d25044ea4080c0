//! Which parts of payloads are hidden before anybody sees them. What is hidden is cut out of the text of the JSON; all else stays
//! as it was written.

use super::HIDDEN;
use crate::Content;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::fmt;

/// How deep in a JSON value the rules look. What is deeper where a rule might still apply is not shown at all.
const DEPTH: usize = 128;

/// Rules that name parts of JSON values, each as a JSON pointer (RFC 6901) such as `/customer/email`. In place of a name, `*`
/// stands for any member or item, and `**` for any number of levels, also none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(Vec<Vec<Part>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Name(String),
    Any,
    AnyDepth,
}

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// It is no pointer.
    #[error("must be JSON pointers, which begin with a slash, such as /customer/email, /items/*/price or /**/password")]
    NoPointer,
    /// It has a `~` that stands for nothing.
    #[error("must write ~ in the name of a member as ~0, and / as ~1")]
    Tilde,
    /// It ends with any number of levels.
    #[error("must not end with **, but with what is to be hidden; /* hides every member and item")]
    OpenEnd,
}

/// Data that should be JSON, but is not, so that nobody knows what the rules would hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it should be JSON, but it cannot be read as such, so that the rules of `redact` cannot be applied")]
pub struct Unreadable;

impl Rules {
    /// Adds a rule.
    pub fn add(&mut self, rule: &str) -> Result<(), BadRule> {
        let parts = rule.strip_prefix('/').ok_or(BadRule::NoPointer)?;
        let mut parts = parts.split('/').map(Part::parse).collect::<Result<Vec<Part>, BadRule>>()?;
        // The same, once more.
        parts.dedup_by(|next, before| *next == Part::AnyDepth && *before == Part::AnyDepth);
        if parts.last() == Some(&Part::AnyDepth) {
            return Err(BadRule::OpenEnd);
        }
        self.0.push(parts);
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rules as they are written.
    pub fn texts(&self) -> Vec<String> {
        let text = |rule: &Vec<Part>| rule.iter().map(|part| format!("/{part}")).collect();
        self.0.iter().map(text).collect()
    }

    /// These rules and those.
    pub fn and(mut self, others: Rules) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The data as it may be shown, and whether something in it is hidden.
    ///
    /// What is JSON by its media type or by its beginning is read as JSON, or as several JSON values one after another. All else is
    /// shown as it is.
    ///
    /// # Errors
    ///
    /// It should be JSON, but is not.
    pub fn hide(&self, content: Content) -> Result<(Content, bool), Unreadable> {
        if self.is_empty() || !is_json(&content) {
            return Ok((content, false));
        }
        let text = std::str::from_utf8(&content.bytes).map_err(|_| Unreadable)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let rules: Vec<&[Part]> = self.0.iter().map(Vec::as_slice).collect();
        let mut hider = Hider { text, at: 0, copied: 0, shown: String::new() };
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
        for value in values.by_ref() {
            value.map_err(|_| Unreadable)?;
            hider.value(&rules, 0).ok_or(Unreadable)?;
        }
        let Hider { copied, mut shown, .. } = hider;
        if copied == 0 {
            return Ok((content, false));
        }
        shown.push_str(text.get(copied..).unwrap_or_default());
        Ok((Content::new(shown, content.media_type), true))
    }
}

/// Whether the data says that it is JSON, or begins as most JSON does.
fn is_json(content: &Content) -> bool {
    let claims = content.media_type.as_str().to_ascii_lowercase().contains("json");
    // Also in another encoding, and in a sequence with marks before its values.
    let is_before = |byte: &u8| byte.is_ascii_whitespace() || b"\0\x1e\xef\xbb\xbf\xfe\xff".contains(byte);
    claims || matches!(content.bytes.iter().find(|byte| !is_before(byte)), Some(b'{' | b'['))
}

impl Part {
    fn parse(text: &str) -> Result<Self, BadRule> {
        match text {
            "*" => return Ok(Part::Any),
            "**" => return Ok(Part::AnyDepth),
            _ => {}
        }
        let mut after = text.split('~').skip(1);
        if after.any(|after| !after.starts_with(['0', '1'])) {
            return Err(BadRule::Tilde);
        }
        Ok(Part::Name(text.replace("~1", "/").replace("~0", "~")))
    }

    fn is(&self, name: &str) -> bool {
        match self {
            Part::Name(own) => own == name,
            Part::Any | Part::AnyDepth => true,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Name(name) => f.write_str(&name.replace('~', "~0").replace('/', "~1")),
            Part::Any => f.write_str("*"),
            Part::AnyDepth => f.write_str("**"),
        }
    }
}

/// What is left of a rule below a member or an item of this name.
fn follow<'r>(rule: &'r [Part], name: &str, below: &mut Vec<&'r [Part]>) {
    let mut add = |rest| {
        if !below.contains(&rest) {
            below.push(rest);
        }
    };
    match rule {
        [Part::AnyDepth, rest @ ..] => {
            add(rule);
            follow(rest, name, below);
        }
        [part, rest @ ..] if part.is(name) => add(rest),
        _ => {}
    }
}

/// Reads JSON that was found to be valid, and copies what is not hidden. Whatever it does not expect makes all of it unreadable.
struct Hider<'t> {
    text: &'t str,
    at: usize,
    /// How much of the text was copied, or hidden.
    copied: usize,
    shown: String,
}

impl<'t> Hider<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        while self.peek()?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.peek()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, rules: &[&[Part]], depth: usize) -> Option<()> {
        match self.next()? {
            b'{' | b'[' if rules.is_empty() => self.skip(),
            b'{' | b'[' if depth == DEPTH => None,
            b'{' => self.inside(b'}', |this, _| {
                let name = this.name()?;
                this.expect(b':')?;
                this.part(rules, &name, depth)
            }),
            b'[' => self.inside(b']', |this, at| this.part(rules, &at.to_string(), depth)),
            _ => self.skip(),
        }
    }

    /// Reads the members or items up to the end, each of which has a position.
    fn inside(&mut self, end: u8, mut one: impl FnMut(&mut Self, usize) -> Option<()>) -> Option<()> {
        self.at += 1;
        let mut position = 0;
        while self.next()? != end {
            one(self, position)?;
            position += 1;
            if self.next()? == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        Some(())
    }

    /// The name of a member.
    fn name(&mut self) -> Option<Cow<'t, str>> {
        self.next()?;
        let begin = self.at;
        self.string()?;
        let quoted = self.text.get(begin..self.at)?;
        if quoted.contains('\\') {
            return serde_json::from_str(quoted).ok().map(Cow::Owned);
        }
        quoted.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
    }

    /// A member or an item: hidden, or looked through.
    fn part(&mut self, rules: &[&[Part]], name: &str, depth: usize) -> Option<()> {
        let mut below = Vec::new();
        for rule in rules {
            follow(rule, name, &mut below);
        }
        if below.iter().all(|rest| !rest.is_empty()) {
            return self.value(&below, depth + 1);
        }
        self.next()?;
        self.shown.push_str(self.text.get(self.copied..self.at)?);
        self.shown.push('"');
        self.shown.push_str(HIDDEN);
        self.shown.push('"');
        self.skip()?;
        self.copied = self.at;
        Some(())
    }

    /// Leaves out a value.
    fn skip(&mut self) -> Option<()> {
        let mut open = 0_usize;
        loop {
            match self.next()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => {
                    self.at += 1;
                    continue;
                }
                _ => self.scalar(),
            }
            if open == 0 {
                return Some(());
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        let mut is_escaped = false;
        loop {
            self.at += 1;
            match self.peek()? {
                b'"' if !is_escaped => break,
                b'\\' => is_escaped = !is_escaped,
                _ => is_escaped = false,
            }
        }
        self.at += 1;
        Some(())
    }

    /// A number or a word.
    fn scalar(&mut self) {
        let is_in_it = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        self.at += 1;
        while self.peek().is_some_and(is_in_it) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MediaType;
    use bytes::Bytes;
    use serde_json::{Value, json};

    fn rules(list: &[&str]) -> Rules {
        let mut rules = Rules::default();
        for rule in list {
            rules.add(rule).unwrap();
        }
        rules
    }

    fn hidden(list: &[&str], text: impl Into<Bytes>) -> Result<String, Unreadable> {
        let shown = rules(list).hide(Content::new(text, MediaType::OCTET_STREAM))?.0;
        Ok(String::from_utf8_lossy(&shown.bytes).into_owned())
    }

    #[test]
    fn what_a_pointer_names_is_hidden_and_all_else_stays_as_it_was_written() {
        let text = "{ \"b\":1.10, \"a\" : {\"email\" : [1, {\"x\":\"}\\\"\"}] , \"n\":12345678901234567890123},\n\"a\":{\"email\":null}}";
        let shown =
            "{ \"b\":1.10, \"a\" : {\"email\" : \"***\" , \"n\":12345678901234567890123},\n\"a\":{\"email\":\"***\"}}";
        assert_eq!(hidden(&["/a/email"], text).unwrap(), shown);
        assert_eq!(hidden(&["/a/other", "/email", "/a/email/2/x"], text).unwrap(), text);
    }

    #[test]
    fn names_are_compared_as_json_and_pointers_mean_them() {
        let text = "{\"p\\u0061ss\":1,\"a/b\":2,\"c~1\":3,\"\":4,\"é\":[5,6,7]}";
        let shown = "{\"p\\u0061ss\":\"***\",\"a/b\":\"***\",\"c~1\":\"***\",\"\":\"***\",\"é\":[5,\"***\",7]}";
        assert_eq!(hidden(&["/pass", "/a~1b", "/c~01", "/", "/é/1"], text).unwrap(), shown);
        assert_eq!(hidden(&["/é/01", "/é/-"], text).unwrap(), text);
    }

    #[test]
    fn stars_stand_for_any_part_and_for_any_depth() {
        let text = json!([{"items": [{"price": 1, "id": 2}, {"price": 3}]}, {"a": {"b": {"password": {"x": 1}}}, "password": 2}]);
        let shown = |list: &[&str]| serde_json::from_str::<Value>(&hidden(list, text.to_string()).unwrap()).unwrap();
        assert_eq!(shown(&["/*/items/*/price"])[0], json!({"items": [{"price": "***", "id": 2}, {"price": "***"}]}));
        let all = shown(&["/**/password", "/**/**/id"]);
        assert_eq!(all[1], json!({"a": {"b": {"password": "***"}}, "password": "***"}));
        assert_eq!(all[0]["items"][0], json!({"price": 1, "id": "***"}));
        assert_eq!(shown(&["/*"]), json!(["***", "***"]));
        assert_eq!(shown(&["/**/b/**/x"])[1]["a"]["b"]["password"], json!({"x": "***"}));
    }

    #[test]
    fn several_values_one_after_another_are_each_looked_through() {
        assert_eq!(
            hidden(&["/a"], "{\"a\":1}\n{\"a\":2}{\"b\":3}\n").unwrap(),
            "{\"a\":\"***\"}\n{\"a\":\"***\"}{\"b\":3}\n"
        );
    }

    #[test]
    fn what_should_be_json_but_is_not_is_not_shown() {
        for bad in [
            &b"{\"a\":1"[..],
            b" [1,",
            b"[info] started",
            b"{\"a\":\"\xff\"}",
            b"\xff\xfe{\0\"\0",
            b"{\"a\\ud800\":1}",
            b"[1]x",
        ] {
            assert_eq!(hidden(&["/a"], bad), Err(Unreadable), "{bad:?}");
        }
        let claims = |media_type: &str, bytes: &'static str| {
            rules(&["/a"]).hide(Content::new(bytes, MediaType::parse(media_type).unwrap())).map(|(_, hides)| hides)
        };
        assert_eq!(claims("application/problem+json; charset=utf-8", "a=1"), Err(Unreadable));
        assert_eq!(claims("Application/JSON", "\u{feff}{\"a\":1}"), Ok(true));
        assert_eq!(claims("text/plain", "a=1"), Ok(false));
        assert_eq!(hidden(&["/a"], &b"\x89PNG\0{\xff"[..]).unwrap(), "\u{fffd}PNG\0{\u{fffd}");
        assert_eq!(hidden(&[], &b"{\"a\""[..]).unwrap(), "{\"a\"", "without rules, everything is shown");
    }

    #[test]
    fn what_is_nested_very_deep_takes_neither_stack_nor_shows_what_is_hidden() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(hidden(&["/a"], deep.clone()).unwrap(), deep);
        assert_eq!(hidden(&["/**/a"], deep), Err(Unreadable));
    }

    #[test]
    fn a_rule_that_means_nothing_is_refused() {
        for (bad, why) in [
            ("", BadRule::NoPointer),
            ("password", BadRule::NoPointer),
            ("/a~2", BadRule::Tilde),
            ("/a~", BadRule::Tilde),
            ("/a/**", BadRule::OpenEnd),
        ] {
            assert_eq!(Rules::default().add(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        let texts = ["/a/email", "/a~1b/c~01", "/", "/**/*/x"];
        assert_eq!(rules(&texts).texts(), texts);
        assert_eq!(rules(&["/**/**/id"]).texts(), ["/**/id"]);
    }

    proptest::proptest! {
        /// Values come out as they went in, but for what is hidden, and what is hidden is nowhere.
        #[test]
        fn only_what_is_named_is_hidden(values in proptest::collection::vec("[\\PC\"\\\\/{}\\[\\],:]{0,12}", 1..6)) {
            let secret = "s3cret-0f-th3-test";
            let value = json!({ "keep": values, "deep": [{ "secret": [secret, values] }], "secret": secret });
            let text = serde_json::to_string_pretty(&value).unwrap();
            let shown = hidden(&["/**/secret"], text).unwrap();
            proptest::prop_assert!(!shown.contains(secret));
            let expected = json!({ "keep": values, "deep": [{ "secret": HIDDEN }], "secret": HIDDEN });
            proptest::prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), expected);
        }
    }
}
