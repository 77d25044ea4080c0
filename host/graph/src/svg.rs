//! SVG with its own background, so that it is legible on light and dark pages, and without scripts.
//!
//! Each node is a `<g class="node KIND" id="node:PATH" data-path="PATH">`, so that style sheets and tools can find it.

use crate::diff::difference::Change;
use crate::layout::{self, LINE, PAD, Picture, Placed, Wire};
use crate::view::{self, Kind, Shape, View};
use faas_flow_core::Definition;
use faas_flow_core::text::printable;
use std::collections::HashMap;
use std::fmt::Write as _;

const MARGIN: f64 = 24.0;
/// From the baseline of one listed change to the next.
const LISTED: f64 = 20.0;
/// From one entry of the legend to the next.
const LEGEND: f64 = 78.0;
const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/// What to mark in a picture of two versions: nodes by their paths, edges by those of their nodes.
#[derive(Default)]
pub(crate) struct Marks {
    pub nodes: HashMap<String, Change>,
    pub edges: HashMap<(String, String), Change>,
    /// Changes without a place in the graph, one line each.
    pub lines: Vec<(Change, String)>,
}

/// How a change is drawn. The sign helps readers who cannot tell the colours apart.
struct Look {
    /// A class of the marked element, for style sheets; also the id of its arrow head.
    class: &'static str,
    sign: char,
    colour: &'static str,
}

const fn look(change: Change) -> Look {
    match change {
        Change::Added => Look { class: "added", sign: '+', colour: "#15803d" },
        Change::Removed => Look { class: "removed", sign: '−', colour: "#c2261d" },
        Change::Changed => Look { class: "changed", sign: '~', colour: "#b45309" },
    }
}

pub(crate) fn render(view: &View, definition: &Definition, name: &str) -> String {
    document(view, definition, name, None, &HashMap::new())
}

/// What the page around a picture adds to a node.
#[derive(Default)]
pub(crate) struct Added {
    /// A class, which the page can style.
    pub class: String,
    /// Where the node leads; empty if nowhere.
    pub link: String,
}

/// Draws nodes with what the page around the picture adds to them.
pub(crate) fn render_with(view: &View, definition: &Definition, name: &str, added: &HashMap<String, Added>) -> String {
    document(view, definition, name, None, added)
}

/// Draws a picture with changes marked, and a legend.
pub(crate) fn render_marked(view: &View, definition: &Definition, name: &str, marks: &Marks) -> String {
    document(view, definition, name, Some(marks), &HashMap::new())
}

fn document(
    view: &View,
    definition: &Definition,
    name: &str,
    marks: Option<&Marks>,
    added: &HashMap<String, Added>,
) -> String {
    let picture = layout::picture(view);
    let about = about(definition);
    let lines = marks.map_or(&[][..], |marks| &marks.lines);
    let legend = if about.is_empty() { 56.0 } else { 76.0 };
    let listed = lines.len() as f64 * LISTED;
    let header = legend - 4.0 + if marks.is_some() { 26.0 + listed } else { 0.0 };
    let words = layout::text_width(name, 17.0).max(layout::text_width(&about, 12.0));
    let words = lines.iter().map(|(_, line)| layout::text_width(line, 12.0) + 21.0).fold(words, f64::max);
    let width = picture.width.max(words).max(if marks.is_some() { 250.0 } else { 160.0 }) + 2.0 * MARGIN;
    let height = picture.height.max(LINE) + header + MARGIN;
    let mut out = Out { text: String::new(), marks, added };
    // What is an image has no links in it, for those who listen to the page.
    let role = if added.values().any(|added| !added.link.is_empty()) { "group" } else { "img" };
    out.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"{role}\" font-family=\"{FONTS}\" font-size=\"12\" fill=\"#1f2733\">"
    ));
    out.put(format_args!("<title>{}</title>", escaped(name)));
    arrow_heads(&mut out);
    out.put(format_args!(
        "<rect class=\"background\" x=\".5\" y=\".5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"10\" fill=\"#fbfcfe\" stroke=\"#d5dce6\"/>",
        width - 1.0,
        height - 1.0
    ));
    out.put(format_args!(
        "<text x=\"{MARGIN}\" y=\"32\" font-size=\"17\" font-weight=\"600\">{}</text>",
        escaped(name)
    ));
    if !about.is_empty() {
        out.put(format_args!("<text x=\"{MARGIN}\" y=\"51\" fill=\"#5d6b7e\">{}</text>", escaped(&about)));
    }
    if let Some(marks) = marks {
        changes(&mut out, marks, legend);
    }
    if picture.boxes.is_empty() {
        out.put(format_args!("<text x=\"{MARGIN}\" y=\"{}\" fill=\"#5d6b7e\">no nodes</text>", header + 12.0));
    }
    draw(&mut out, &picture, (width - picture.width) / 2.0, header);
    out.put(format_args!("</svg>"));
    out.text
}

/// The heads of all arrows that the picture may have.
fn arrow_heads(out: &mut Out<'_>) {
    let marked = Change::ALL.map(look).map(|look| (look.class, look.colour));
    let used = if out.marks.is_some() { &marked[..] } else { &[] };
    out.put(format_args!("<defs>"));
    for (id, colour) in [("data", "#56657a"), ("order", "#8a97a8")].iter().chain(used) {
        out.put(format_args!(
            "<marker id=\"arrow-{id}\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 .5 8 4 0 7.5z\" fill=\"{colour}\"/></marker>"
        ));
    }
    out.put(format_args!("</defs>"));
}

/// The legend, and below it the changes that have no place in the graph.
fn changes(out: &mut Out<'_>, marks: &Marks, legend: f64) {
    for (at, change) in Change::ALL.into_iter().enumerate() {
        let x = MARGIN + 8.0 + LEGEND * at as f64;
        badge(out, change, x, legend);
        let (x, y) = (x + 13.0, legend + 4.0);
        let colour = look(change).colour;
        out.put(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{}</text>", change.word()));
    }
    for (at, (change, line)) in marks.lines.iter().enumerate() {
        let y = legend + LISTED * (at + 1) as f64;
        badge(out, *change, MARGIN + 8.0, y);
        let (x, y) = (MARGIN + 21.0, y + 4.0);
        let colour = look(*change).colour;
        out.put(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{}</text>", escaped(line)));
    }
}

/// Properties of the flow as a whole.
fn about(definition: &Definition) -> String {
    let mut parts = Vec::new();
    if let Some(ms) = definition.deadline_ms {
        parts.push(format!("deadline {}", view::duration(ms)));
    }
    if let Some(handler) = &definition.on_failure {
        parts.push(format!("on failure: {handler}"));
    }
    if let Some(handler) = &definition.finally {
        parts.push(format!("finally: {handler}"));
    }
    parts.join(" · ")
}

struct Out<'a> {
    text: String,
    marks: Option<&'a Marks>,
    added: &'a HashMap<String, Added>,
}

impl Out<'_> {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(text);
        self.text.push('\n');
    }
}

/// A change's sign on a disc.
fn badge(out: &mut Out<'_>, change: Change, x: f64, y: f64) {
    let Look { class, sign, colour } = look(change);
    let word = change.word();
    out.put(format_args!(
        "<g class=\"mark {class}\"><title>{word}</title><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\" fill=\"{colour}\"/>\
         <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"14\" font-weight=\"700\" fill=\"#ffffff\">{sign}</text></g>",
        y + 4.6
    ));
}

fn draw(out: &mut Out<'_>, picture: &Picture<'_>, x: f64, y: f64) {
    out.put(format_args!("<g transform=\"translate({x:.1} {y:.1})\">"));
    for placed in &picture.boxes {
        node(out, placed);
    }
    for wire in &picture.wires {
        edge(out, wire, picture);
    }
    out.put(format_args!("</g>"));
}

/// Border, fill and stripe of a kind of node.
fn colours(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Operations => ("#b9c8e6", "#ffffff", "#3b6fd4"),
        Kind::SubDag => ("#cdbfe8", "#f8f5fd", "#7a52c7"),
        Kind::Condition => ("#e8cf9c", "#fefaf0", "#c98a10"),
        Kind::ForEach => ("#a8d8bd", "#f2fbf6", "#1f9d61"),
        Kind::Repeat => ("#e6bcc9", "#fdf6f8", "#b8456b"),
        Kind::End => ("#b4bfcc", "#eef1f5", "#5d6b7e"),
        Kind::Recover => ("#e3b3b3", "#fdf4f4", "#a83e3e"),
        Kind::Schedule => ("#a9cfdf", "#f2f8fb", "#2a7a9b"),
    }
}

fn node(out: &mut Out<'_>, placed: &Placed<'_>) {
    let shape = placed.shape;
    let (x, y, width, height) = (placed.x, placed.y, placed.width, placed.height);
    let (border, fill, stripe) = colours(shape.kind);
    let path = escaped(&shape.path);
    let added = out.added.get(&shape.path);
    let class = added.map_or(String::new(), |added| format!(" {}", added.class));
    let link = added.map(|added| escaped(&added.link)).filter(|link| !link.is_empty());
    let (link, link_end) = link.map_or_else(Default::default, |link| (format!("<a href=\"{link}\">"), "</a>"));
    let change = out.marks.and_then(|marks| marks.nodes.get(&shape.path)).copied();
    let mut changed = String::new();
    let mut outline = String::new();
    if let Some(change) = change {
        let Look { class, colour, .. } = look(change);
        let dashes = if change == Change::Removed { " stroke-dasharray=\"6 4\"" } else { "" };
        changed = format!(" {class}");
        outline = format!(" style=\"stroke:{colour};stroke-width:2.4\"{dashes}");
    }
    out.put(format_args!(
        "<g class=\"node {}{changed}{class}\" id=\"node:{path}\" data-path=\"{path}\" transform=\"translate({x:.1} {y:.1})\">",
        shape.kind.word()
    ));
    // Not around the nodes inside, which have links of their own.
    if !link.is_empty() {
        out.put(format_args!("{link}"));
    }
    if shape.kind.is_pill() {
        out.put(format_args!(
            "<rect class=\"box\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{:.1}\" fill=\"{fill}\" stroke=\"{border}\"{outline}/>",
            height / 2.0
        ));
        out.put(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{stripe}\">{}</text>",
            width / 2.0,
            height / 2.0 + 4.0,
            escaped(&shape.title)
        ));
        if let Some(change) = change {
            badge(out, change, width - 4.0, 4.0);
        }
        out.put(format_args!("{link_end}</g>"));
        return;
    }
    out.put(format_args!(
        "<rect class=\"box\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"7\" fill=\"{fill}\" stroke=\"{border}\"{outline}/>"
    ));
    out.put(format_args!(
        "<path class=\"stripe\" d=\"M7 0H5V{height:.1}H7A7 7 0 0 1 0 {:.1}V7A7 7 0 0 1 7 0z\" fill=\"{stripe}\"/>",
        height - 7.0
    ));
    text(out, shape, stripe);
    if !link.is_empty() {
        out.put(format_args!("{link_end}"));
    }
    insides(out, placed, border, stripe);
    if let Some(change) = change {
        badge(out, change, width - 4.0, 4.0);
    }
    out.put(format_args!("</g>"));
}

/// The title of a node, its operations, and notes on how it is run.
fn text(out: &mut Out<'_>, shape: &Shape, stripe: &str) {
    let left = PAD + 4.0;
    let mut base = PAD + 9.0;
    let kind = match shape.kind {
        Kind::Operations => String::new(),
        kind => format!("<tspan dx=\"5\" font-weight=\"400\" fill=\"{stripe}\">· {}</tspan>", kind.word()),
    };
    out.put(format_args!(
        "<text class=\"title\" x=\"{left}\" y=\"{base:.1}\" font-size=\"14\" font-weight=\"600\">{}{kind}</text>",
        escaped(&shape.title)
    ));
    let lines = shape.lines.iter().map(|line| (line, "#1f2733"));
    for (line, colour) in lines.chain(shape.notes.iter().map(|note| (note, "#5d6b7e"))) {
        base += LINE;
        let shown = layout::shortened(line);
        let whole = if shown == *line { String::new() } else { format!("<title>{}</title>", escaped(line)) };
        let shown = escaped(&shown);
        out.put(format_args!("<text x=\"{left}\" y=\"{base:.1}\" fill=\"{colour}\">{whole}{shown}</text>"));
    }
}

fn insides(out: &mut Out<'_>, placed: &Placed<'_>, border: &str, stripe: &str) {
    for inside in &placed.insides {
        let (mut x, mut y) = (inside.x + (inside.width - inside.picture.width) / 2.0, inside.y);
        if !inside.frame.title.is_empty() {
            out.put(format_args!(
                "<rect class=\"branch\" data-branch=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"6\" \
                 fill=\"#ffffff\" fill-opacity=\".7\" stroke=\"{border}\" stroke-dasharray=\"2 3\"/>",
                escaped(&inside.frame.path),
                inside.x,
                inside.y,
                inside.width,
                inside.height
            ));
            out.put(format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" font-weight=\"600\" fill=\"{stripe}\">{}</text>",
                inside.x + PAD,
                inside.y + PAD + 6.0,
                escaped(&inside.frame.title)
            ));
            x = x.max(inside.x + PAD);
            y += PAD + LINE;
        }
        draw(out, &inside.picture, x, y);
    }
}

fn edge(out: &mut Out<'_>, wire: &Wire<'_>, picture: &Picture<'_>) {
    let mut path = String::new();
    let mut from = (0.0, 0.0);
    for (at, &(x, y)) in wire.points.iter().enumerate() {
        let _ = match at {
            0 => write!(path, "M{x:.1} {y:.1}"),
            _ if at % 2 == 1 && y == from.1 => Ok(()),
            _ if at % 2 == 1 => write!(path, "V{y:.1}"),
            _ => {
                let bend = ((y - from.1) / 2.0_f64).max(24.0);
                write!(path, "C{:.1} {:.1} {x:.1} {:.1} {x:.1} {y:.1}", from.0, from.1 + bend, y - bend)
            }
        };
        from = (x, y);
    }
    let (class, dashes, colour) =
        if wire.arrow.carries { ("data", "", "#56657a") } else { ("order", " stroke-dasharray=\"5 4\"", "#8a97a8") };
    let end = |index: usize| picture.boxes.get(index).map(|placed| placed.shape.path.clone()).unwrap_or_default();
    let ends = (end(wire.arrow.from), end(wire.arrow.to));
    let change = out.marks.and_then(|marks| marks.edges.get(&ends)).copied();
    let (changed, colour, width, tip) = match change.map(look) {
        Some(look) => (format!(" {}", look.class), look.colour, 2.4, look.class),
        None => (String::new(), colour, 1.4, class),
    };
    out.put(format_args!(
        "<path class=\"edge {class}{changed}\" data-from=\"{}\" data-to=\"{}\" d=\"{path}\" fill=\"none\" stroke=\"{colour}\" \
         stroke-width=\"{width}\"{dashes} marker-end=\"url(#arrow-{tip})\"/>",
        escaped(&ends.0),
        escaped(&ends.1)
    ));
    let mut curve = wire.points.iter().skip(1);
    let (Some(a), Some(b)) = (curve.next(), curve.next()) else { return };
    let x = (a.0 + b.0) / 2.0;
    let mut y = (a.1 + b.1) / 2.0;
    if let Some(change) = change {
        badge(out, change, x, y);
        y += 18.0;
    }
    if let Some(handler) = &wire.arrow.label {
        out.put(format_args!(
            "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"middle\" fill=\"#45536a\" \
             stroke=\"#fbfcfe\" stroke-width=\"4\" paint-order=\"stroke\">{}</text>",
            x,
            y + 4.0,
            escaped(&layout::shortened(handler))
        ));
    }
}

/// Escapes text for the content and the attributes of XML and HTML. Control characters, most of which XML cannot express,
/// are written as `\n` or `\u{1b}`.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in printable(text).to_string().chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // XML has no such characters.
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn names_cannot_break_out() {
        let definition = samples::awkward();
        let svg = render(&view::of(&definition), &definition, "<b>\u{1}");
        assert!(svg.contains("data-path=\"say &quot;hi&quot; [&lt;ü&gt;]\""), "{svg}");
        assert!(svg.contains("modify 日本語 &amp; &lt;script&gt;"), "{svg}");
        assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
    }

    #[test]
    fn edges_that_only_order_are_dashed_and_forwarders_named() {
        let definition = samples::measured();
        let svg = render(&view::of(&definition), &definition, "measured");
        let edge = |from: &str| svg.lines().find(|line| line.contains(&format!("data-from=\"{from}\""))).unwrap();
        assert!(edge("C").contains("stroke-dasharray"));
        assert!(!edge("n1").contains("stroke-dasharray"));
        let definition = samples::awkward();
        assert!(render(&view::of(&definition), &definition, "awkward").contains(">f &lt;x&gt;</text>"));
    }

    #[test]
    fn the_tags_balance() {
        for (name, definition) in samples::all().into_iter().chain(samples::wrong()) {
            let svg = render(&view::of(&definition), &definition, name);
            for tag in ["g", "text", "svg", "defs", "marker"] {
                let opened = svg.matches(&format!("<{tag} ")).count() + svg.matches(&format!("<{tag}>")).count();
                assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{name} {tag}");
            }
        }
    }
}
