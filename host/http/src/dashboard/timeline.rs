//! When each node of a run ran: a bar for each, from its first claim to its end, or to now.

use super::page::Took;
use super::rows::{Row, described, parts};
use faas_flow_core::Millis;
use faas_flow_core::run::{Progress, Run};
use faas_flow_graph::escaped;
use std::fmt::Write as _;

/// How many nodes get a bar.
const DRAWN: usize = 200;
/// In the picture's own units: where bars begin, how wide they may be, and the distance from one to the next.
const LEFT: f64 = 260.0;
const WIDTH: f64 = 700.0;
const ROW: f64 = 22.0;
const MARKS: u32 = 4;
/// How many letters fit beside a bar.
const LETTERS: usize = 34;

/// The timeline as HTML.
pub(super) fn draw(run: &Run, rows: &[Row], now: Millis) -> String {
    let begun: Vec<&Row> = rows.iter().filter(|row| row.node.started.is_some()).take(DRAWN).collect();
    if begun.is_empty() {
        return "<p class=\"quiet\">No node has started yet.</p>\n".to_owned();
    }
    let end = run.ended.unwrap_or(now).max(run.started + 1);
    // While the run goes on, the scale changes now and then only, so that most bars stay as they are.
    let (took, marks) = (end - run.started, Millis::from(MARKS));
    // Each mark is at a whole millisecond.
    let whole = if run.ended.is_some() { took.div_ceil(marks).saturating_mul(marks) } else { round(took) } as f64;
    let at = |moment: Millis| LEFT + WIDTH * (moment.clamp(run.started, end) - run.started) as f64 / whole;
    let height = ROW * (begun.len() as f64 + 1.5);
    let mut svg = format!(
        "<div class=\"picture\" tabindex=\"0\" role=\"region\" aria-label=\"Timeline\"><svg class=\"timeline\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 {height}\" role=\"img\">\
         <title>When each node ran</title>\n"
    );
    for mark in 0..=MARKS {
        let share = f64::from(mark) / f64::from(MARKS);
        let x = LEFT + WIDTH * share;
        let took = Took((whole * share) as Millis);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<path class=\"mark\" d=\"M{x:.1} {ROW}V{height}\"/><text class=\"mark\" x=\"{x:.1}\" y=\"14\" text-anchor=\"middle\">{took}</text>"
        );
    }
    for (row, Row { node, branches }) in (1..).zip(begun.iter().copied()) {
        let Some(started) = node.started else { continue };
        let y = ROW * f64::from(row);
        // What waits has not ended.
        let has_ended = matches!(node.progress, Progress::Done | Progress::Failed | Progress::Cancelled);
        let until = node.since.filter(|_| has_ended).unwrap_or(end);
        let from = at(started);
        let to = at(until.max(started));
        let path = node.path.to_string();
        let progress = node.progress.as_str();
        let took = Took(until.saturating_sub(started));
        let letters = path.chars().count();
        let name: String = if letters > LETTERS {
            std::iter::once('…').chain(path.chars().skip(letters - LETTERS + 1)).collect()
        } else {
            path.clone()
        };
        let path = escaped(&path);
        let name = escaped(&name);
        let width = (to - from).max(2.0);
        let (words, bars) = match branches {
            Some(tally) => {
                let bars = parts(tally, from, width).into_iter().map(|(progress, x, width)| {
                    let progress = progress.as_str();
                    format!(
                        "<rect class=\"{progress}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\"/>",
                        y + 4.0
                    )
                });
                (format!(", {}", described(tally)), bars.collect())
            }
            None => {
                let y = y + 4.0;
                (
                    String::new(),
                    format!("<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"3\"/>"),
                )
            }
        };
        let _ = writeln!(
            svg,
            "<g class=\"bar {progress}\"><title>{path}: {progress}, {took}{words}</title><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>{bars}</g>",
            LEFT - 8.0,
            y + 15.0
        );
        // What failed is marked where it ended.
        let attempts = node.attempts.iter().filter(|attempt| attempt.failure.is_some()).map(|attempt| attempt.ended);
        let tries = node.tries.kept.iter().filter(|one| one.failure.is_some()).map(|one| one.ended);
        for ended in attempts.chain(tries) {
            let x = at(ended);
            let _ = writeln!(svg, "<path class=\"failure\" d=\"M{x:.1} {:.1}v14\"/>", y + 4.0);
        }
    }
    svg.push_str("</svg></div>\n");
    if rows.len() > DRAWN {
        let _ = writeln!(svg, "<p class=\"quiet\">Showing the first {DRAWN} of these nodes that started.</p>");
    }
    svg
}

/// A duration that is not shorter, of which there are few: 1, 1.5, 2, 3, 5 or 7.5 times a power of ten.
fn round(duration: Millis) -> Millis {
    let power = 10_u64.pow(duration.max(1).ilog10());
    let steps = [10, 15, 20, 30, 50, 75, 100].map(|step| power.saturating_mul(step) / 10);
    steps.into_iter().find(|step| *step >= duration).unwrap_or(duration)
}
