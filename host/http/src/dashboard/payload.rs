//! Data of nodes as HTML: JSON as a tree, text, images, and the first bytes of anything else. It may come from anybody, so that
//! all of it is escaped, and only so much of it is shown.

use super::page::Size;
use super::run::lines;
use bytes::Bytes;
use faas_flow_core::Content;
use faas_flow_graph::escaped;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt::{self, Write as _};

/// The largest JSON that is shown as a tree, in bytes.
const TREE: usize = 256 * 1024;
/// How many members and items a tree shows in all, how many of one object or array, how deep, and how many of these levels are
/// unfolded.
const ROWS: usize = 2000;
const WIDTH: usize = 200;
const DEPTH: usize = 32;
const UNFOLDED: usize = 3;
/// How many letters of one text in a tree are shown.
const LETTERS: usize = 2000;
/// How many bytes of text are shown.
const TEXT: usize = 64 * 1024;
/// How many bytes are shown as numbers.
const BYTES: usize = 512;
/// The largest image that is shown, in bytes.
const IMAGE: usize = 8 << 20;

/// The data, in the form that suits it. The image of an image comes from `image`.
pub(super) fn shown(content: &Content, image: &str) -> String {
    let bytes = &content.bytes;
    if image_type(bytes).is_some() {
        let image = escaped(image);
        return format!(
            "<p><a href=\"{image}\"><img class=\"payload\" src=\"{image}\" alt=\"The data as an image\"></a></p>\n"
        );
    }
    preview(content)
}

/// The same without images.
pub(super) fn preview(content: &Content) -> String {
    let bytes = &content.bytes;
    if bytes.is_empty() {
        return "<p class=\"quiet\">No bytes.</p>\n".to_owned();
    }
    tree(bytes).or_else(|| text(bytes)).unwrap_or_else(|| numbers(bytes))
}

/// The media type of an image that browsers show without executing anything: by its first bytes, whatever its sender says.
pub(super) fn image_type(bytes: &[u8]) -> Option<&'static str> {
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let kind = match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        _ if is_webp => "image/webp",
        _ => return None,
    };
    (bytes.len() <= IMAGE).then_some(kind)
}

/// How much of something is shown.
fn cut(what: &str, shown: usize, all: usize) -> String {
    let (shown, all) = (Size(shown as u64), Size(all as u64));
    format!("<p class=\"quiet\">{what} {shown} of {all}.</p>\n")
}

/// Text, without a character that is cut off at the end of what is shown. `None` if it is none.
fn text(bytes: &Bytes) -> Option<String> {
    let beginning = bytes.get(..TEXT).unwrap_or(bytes);
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && beginning.len() < bytes.len() => {
            std::str::from_utf8(beginning.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    if text.contains('\0') {
        return None;
    }
    let mut html = format!("<pre class=\"payload\" tabindex=\"0\">{}</pre>\n", lines(text));
    if text.len() < bytes.len() {
        html.push_str(&cut("The first", text.len(), bytes.len()));
    }
    Some(html)
}

/// Sixteen bytes a line: where they are, the bytes, and the letters that they are.
fn numbers(bytes: &Bytes) -> String {
    let beginning = bytes.get(..BYTES).unwrap_or(bytes);
    let mut html = String::from("<pre class=\"payload hex\" tabindex=\"0\">");
    for (at, line) in beginning.chunks(16).enumerate() {
        let numbers = line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let letter = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let letters: String = line.iter().map(letter).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(html, "{:08x}  {numbers:<47}  {}", at * 16, escaped(&letters));
    }
    html.push_str("</pre>\n");
    if beginning.len() < bytes.len() {
        html.push_str(&cut("The first", beginning.len(), bytes.len()));
    }
    html
}

/// JSON that is an object or an array. `None` if it is something else, or too large for a tree.
fn tree(bytes: &Bytes) -> Option<String> {
    let is_small = bytes.len() <= TREE;
    let text = std::str::from_utf8(bytes.get(..).filter(|_| is_small)?).ok()?.trim_start_matches('\u{feff}');
    let value: &RawValue = serde_json::from_str(text).ok()?;
    let is_branching = value.get().starts_with(['{', '[']);
    let mut tree = Tree { html: String::from("<ul class=\"json payload\" tabindex=\"0\">\n"), rows: 0 };
    tree.value("", is_branching.then_some(value)?, 0);
    tree.html.push_str("</ul>\n");
    Some(tree.html)
}

struct Tree {
    html: String,
    rows: usize,
}

/// The members of an object, in their order, each as often as it is there, with values as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Read).map(Self)
    }
}

impl Tree {
    /// A row, and below it those of the members or items. `name` is HTML.
    fn value(&mut self, name: &str, value: &RawValue, depth: usize) {
        self.rows += 1;
        let parts: Option<Vec<(String, &RawValue)>> = match value.get().as_bytes().first() {
            _ if depth == DEPTH => None,
            Some(b'{') => serde_json::from_str(value.get()).ok().map(|Members(members)| {
                members
                    .into_iter()
                    .map(|(name, value)| (format!("<span class=\"name\">{}</span>: ", quoted(&name)), value))
                    .collect()
            }),
            Some(b'[') => serde_json::from_str(value.get()).ok().map(|items: Vec<&RawValue>| {
                let named = |(at, value)| (format!("<span class=\"quiet\">{at}</span>: "), value);
                items.into_iter().enumerate().map(named).collect()
            }),
            _ => None,
        };
        match parts.filter(|parts| !parts.is_empty()) {
            Some(parts) => self.branch(name, value, parts, depth),
            None => {
                // Writing to a string cannot fail.
                let _ = writeln!(self.html, "<li>{name}{}</li>", leaf(value.get()));
            }
        }
    }

    fn branch(&mut self, name: &str, value: &RawValue, parts: Vec<(String, &RawValue)>, depth: usize) {
        let (word, brackets) = if value.get().starts_with('{') { ("member", "{ }") } else { ("item", "[ ]") };
        let count = parts.len();
        let plural = if count == 1 { "" } else { "s" };
        let open = if depth < UNFOLDED { " open" } else { "" };
        let _ = writeln!(
            self.html,
            "<li><details{open}><summary>{name}{brackets} <span class=\"quiet\">{count} {word}{plural}</span></summary><ul>"
        );
        let mut left = count;
        for (name, value) in parts.into_iter().take(WIDTH) {
            if self.rows >= ROWS {
                break;
            }
            self.value(&name, value, depth + 1);
            left -= 1;
        }
        if left > 0 {
            let _ = writeln!(self.html, "<li class=\"quiet\">… {left} more</li>");
        }
        self.html.push_str("</ul></details></li>\n");
    }
}

/// A value without parts, as it is written; a text with what may not be shown as it is written as `\u{202e}`.
fn leaf(raw: &str) -> String {
    match serde_json::from_str::<String>(raw) {
        Ok(text) => format!("<span class=\"text\">{}</span>", quoted(&text)),
        Err(_) => format!("<span class=\"value\">{}</span>", escaped(&beginning(raw))),
    }
}

fn quoted(text: &str) -> String {
    escaped(&format!("\"{}\"", beginning(text)))
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_flow_core::MediaType;

    fn html(bytes: impl Into<Bytes>) -> String {
        shown(&Content::new(bytes, MediaType::OCTET_STREAM), "node/output/image?node=n")
    }

    #[test]
    fn json_is_a_tree_of_what_is_written() {
        let tree = html("{\"id\": 12345678901234567890.10, \"<b>\": [true, \"\u{202e}</ul>\"], \"id\": {}}");
        for part in [
            "{ } <span class=\"quiet\">3 members</span>",
            "&quot;id&quot;</span>: <span class=\"value\">12345678901234567890.10</span>",
            "&quot;id&quot;</span>: <span class=\"value\">{}</span>",
            "<span class=\"name\">&quot;&lt;b&gt;&quot;</span>: [ ] <span class=\"quiet\">2 items</span>",
            "<span class=\"text\">&quot;\\u{202e}&lt;/ul&gt;&quot;</span>",
        ] {
            assert!(tree.contains(part), "{part} in {tree}");
        }
    }

    #[test]
    fn a_tree_has_limits() {
        let wide = html(format!("[{}0]", "0,".repeat(1000)));
        assert!(wide.contains("1001 items") && wide.contains("… 801 more"), "{wide}");
        let inner = format!("[{}0]", "0,".repeat(199));
        let large = html(format!("[{}0]", format!("{inner},").repeat(150)));
        assert!(large.matches("<li").count() < ROWS + 150, "{}", large.matches("<li").count());
        let deep = html(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert_eq!(deep.matches("<details").count(), DEPTH);
        let huge = html(format!("[\"{}\"]", "a".repeat(TREE)));
        assert!(huge.starts_with("<pre") && huge.contains("The first 64.0 KiB of 256.0 KiB"), "{}", huge.len());
        let long = html(format!("[\"{}\"]", "a".repeat(5000)));
        assert!(long.contains("… (5000 bytes)") && long.len() < 3000, "{}", long.len());
    }

    #[test]
    fn text_cannot_be_markup_nor_turn_the_direction_of_writing() {
        let text = html("<script>alert(1)</script>\n\u{202e}\u{1b}[2J\tx &amp; €");
        assert_eq!(
            text,
            "<pre class=\"payload\" tabindex=\"0\">&lt;script&gt;alert(1)&lt;/script&gt;\n\\u{202e}\\u{1b}[2J    x &amp;amp; €</pre>\n"
        );
        let long = html("€".repeat(TEXT));
        assert!(long.contains("The first 64.0 KiB of 192.0 KiB") && !long.contains('\u{fffd}'));
    }

    #[test]
    fn what_is_no_text_is_shown_as_numbers() {
        let line = "00000000  00 ff 3c 0a                                      ..&lt;.\n";
        assert_eq!(html(&b"\0\xff<\n"[..]), format!("<pre class=\"payload hex\" tabindex=\"0\">{line}</pre>\n"));
        let long = html(vec![0xff; 16 << 20]);
        assert_eq!(long.lines().filter(|line| line.contains(" ff ff ")).count(), BYTES / 16, "{long}");
        assert!(long.contains("The first 512 B of 16.0 MiB"), "{long}");
    }

    #[test]
    fn images_are_those_that_cannot_execute_anything() {
        let cases: [(&[u8], Option<&str>); 7] = [
            (b"\x89PNG\r\n\x1a\n", Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", None),
            (b"<?xml version=\"1.0\"?><svg/>", None),
        ];
        for (bytes, kind) in cases {
            assert_eq!(image_type(bytes), kind, "{bytes:?}");
        }
        assert!(html(&b"GIF89a"[..]).contains("<img class=\"payload\" src=\"node/output/image?node=n\""));
        let large = [&b"GIF89a"[..], &vec![0; IMAGE]].concat();
        assert_eq!(image_type(&large), None);
    }
}
