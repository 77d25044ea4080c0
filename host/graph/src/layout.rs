//! The layout: layers by longest path, ordered by barycentres, with each dag laid out inside its node's box.
//!
//! Edges that span several layers pass through invisible cells, so no edge crosses a box. Coordinates inside a
//! [`Picture`] are relative to it, in pixels.

mod edges;
mod rows;

use crate::view::{Arrow, Frame, Shape, View};
use edges::{chain, fan_out, wire};
use rows::{order, spread};
use std::collections::VecDeque;

pub(crate) const LINE: f64 = 18.0;
pub(crate) const PAD: f64 = 12.0;
const GAP: f64 = 28.0;
const BETWEEN_LAYERS: f64 = 52.0;
const LONGEST_TEXT: usize = 46;
const SWEEPS: usize = 12;
/// Maximum number of invisible cells in a picture, with those of the dags inside it; further edges are drawn straight through
/// their layers.
const MOST_CELLS: usize = 50_000;

pub(crate) struct Picture<'a> {
    pub width: f64,
    pub height: f64,
    pub boxes: Vec<Placed<'a>>,
    pub wires: Vec<Wire<'a>>,
}

/// A shape in its place; `x` and `y` are its upper left corner.
pub(crate) struct Placed<'a> {
    pub shape: &'a Shape,
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub insides: Vec<Inside<'a>>,
}

/// A dag in its place inside a box, relative to the box.
pub(crate) struct Inside<'a> {
    pub frame: &'a Frame,
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub picture: Picture<'a>,
}

/// An edge: from each even point straight down to the next, from each odd one in a curve.
pub(crate) struct Wire<'a> {
    pub arrow: &'a Arrow,
    pub points: Vec<(f64, f64)>,
}

/// An item of a layer: a shape, or an edge that passes through.
struct Cell {
    layer: usize,
    width: f64,
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Lays out a dag and all that is in it, in time that is nearly proportional to its size.
pub(crate) fn picture(view: &View) -> Picture<'_> {
    picture_within(view, &mut MOST_CELLS.clone())
}

/// Lays out a dag with at most so many invisible cells, and takes those that it uses off the number.
fn picture_within<'a>(view: &'a View, cells_left: &mut usize) -> Picture<'a> {
    let mut boxes: Vec<Placed<'_>> = view.shapes.iter().map(|shape| measured(shape, cells_left)).collect();
    let layers = layers(view);
    let mut cells: Vec<Cell> =
        boxes.iter().zip(&layers).map(|(placed, layer)| Cell::new(*layer, placed.width)).collect();
    let mut chained = |arrow| chain(arrow, &layers, &mut cells, cells_left);
    let chains: Vec<Vec<usize>> = view.arrows.iter().map(&mut chained).collect();

    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); layers.iter().max().map_or(0, |last| last + 1)];
    for (index, cell) in cells.iter().enumerate() {
        if let Some(row) = rows.get_mut(cell.layer) {
            row.push(index);
        }
    }
    order(&mut rows, &mut cells);
    spread(&rows, &mut cells);

    let mut heights = vec![0.0_f64; rows.len()];
    for (placed, layer) in boxes.iter().zip(&layers) {
        if let Some(height) = heights.get_mut(*layer) {
            *height = height.max(placed.height);
        }
    }
    let mut tops = Vec::with_capacity(heights.len());
    let mut y = 0.0;
    for height in heights {
        tops.push((y, y + height));
        y += height + BETWEEN_LAYERS;
    }
    for (placed, cell) in boxes.iter_mut().zip(&cells) {
        let (top, bottom) = tops.get(cell.layer).copied().unwrap_or_default();
        placed.x = cell.x - placed.width / 2.0;
        placed.y = top + (bottom - top - placed.height) / 2.0;
    }
    let route = |(arrow, chain): (_, &Vec<usize>)| wire(arrow, chain, &cells, &boxes, &tops);
    let mut wires: Vec<Wire<'_>> = view.arrows.iter().zip(&chains).map(route).collect();
    fan_out(&mut wires, &boxes);
    let right = cells.iter().map(|cell| cell.x + cell.width / 2.0).fold(0.0, f64::max);
    Picture { width: right, height: (y - BETWEEN_LAYERS).max(0.0), boxes, wires }
}

impl Cell {
    fn new(layer: usize, width: f64) -> Self {
        Cell { layer, width, x: 0.0, above: Vec::new(), below: Vec::new() }
    }
}

/// Measures a shape, with the dags inside it laid out in rows.
fn measured<'a>(shape: &'a Shape, cells_left: &mut usize) -> Placed<'a> {
    let texts = shape.lines.iter().chain(&shape.notes).map(|line| text_width(&shortened(line), 12.0));
    let title = text_width(&shape.heading(), 14.0);
    let text = texts.fold(title, f64::max) + 2.0 * PAD + 8.0;
    let lines = shape.lines.len() + shape.notes.len() + 1;
    let header = lines as f64 * LINE + 2.0 * PAD - 4.0;
    let mut placed = Placed { shape, x: 0.0, y: 0.0, width: text.max(96.0), height: header, insides: Vec::new() };
    if shape.kind.is_pill() {
        placed.height = LINE + 12.0;
    }
    let columns = shape.frames.len().isqrt().max(4);
    let (mut x, mut y, mut tallest) = (PAD, header, 0.0_f64);
    for (at, frame) in shape.frames.iter().enumerate() {
        if at % columns == 0 && at > 0 {
            (x, y, tallest) = (PAD, y + tallest + PAD, 0.0);
        }
        let picture = picture_within(&frame.view, cells_left);
        let around = if frame.title.is_empty() { (0.0, 0.0) } else { (2.0 * PAD, 2.0 * PAD + LINE) };
        let width = (picture.width + around.0).max(text_width(&frame.title, 12.0) + around.0);
        let height = picture.height.max(LINE) + around.1;
        placed.insides.push(Inside { frame, x, y, width, height, picture });
        placed.width = placed.width.max(x + width + PAD);
        placed.height = placed.height.max(y + height + PAD);
        x += width + PAD;
        tallest = tallest.max(height);
    }
    if let [only] = placed.insides.as_mut_slice() {
        only.x = (placed.width - only.width) / 2.0;
    }
    placed
}

/// The layer of each shape: one below its lowest predecessor. Shapes on or after a cycle come last.
fn layers(view: &View) -> Vec<usize> {
    let count = view.shapes.len();
    let mut layer = vec![0_usize; count];
    let mut waits = vec![0_usize; count];
    let mut after = vec![Vec::new(); count];
    for arrow in &view.arrows {
        if let (Some(after), Some(waits)) = (after.get_mut(arrow.from), waits.get_mut(arrow.to)) {
            after.push(arrow.to);
            *waits += 1;
        }
    }
    let mut ready: VecDeque<usize> = waits.iter().enumerate().filter(|(_, n)| **n == 0).map(|(at, _)| at).collect();
    let mut done = vec![false; count];
    let mut next_stuck = 0;
    loop {
        let Some(index) = ready.pop_front() else {
            // A cycle: break it at its first node in declared order.
            while done.get(next_stuck) == Some(&true) {
                next_stuck += 1;
            }
            if next_stuck == count {
                return layer;
            }
            ready.push_back(next_stuck);
            continue;
        };
        if done.get(index).copied().unwrap_or(true) {
            continue;
        }
        if let Some(done) = done.get_mut(index) {
            *done = true;
        }
        let below = layer.get(index).copied().unwrap_or_default() + 1;
        for &to in after.get(index).into_iter().flatten() {
            if done.get(to) != Some(&false) {
                continue;
            }
            if let (Some(layer), Some(waits)) = (layer.get_mut(to), waits.get_mut(to)) {
                *layer = below.max(*layer);
                *waits = waits.saturating_sub(1);
                if *waits == 0 {
                    ready.push_back(to);
                }
            }
        }
    }
}

/// A text, cut where a box would grow too wide.
pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_TEXT {
        return text.to_owned();
    }
    text.chars().take(LONGEST_TEXT - 1).chain(['…']).collect()
}

/// A generous estimate of a text's width, since no fonts are loaded.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let width = |character: char| match character {
        'i' | 'j' | 'l' | 't' | 'f' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '/' | ' ' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        'A'..='Z' => 0.72,
        '\u{1100}'.. => 1.1,
        _ => 0.62,
    };
    text.chars().map(width).sum::<f64>() * size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{samples, view};

    fn check(name: &str, picture: &Picture<'_>, width: f64, height: f64) {
        for (at, a) in picture.boxes.iter().enumerate() {
            assert!(a.x >= -0.01 && a.y >= -0.01 && a.x + a.width <= width + 0.01 && a.y + a.height <= height + 0.01);
            for b in picture.boxes.iter().skip(at + 1) {
                let apart =
                    a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
                assert!(apart, "{name}: {} overlaps {}", a.shape.path, b.shape.path);
            }
            for inside in &a.insides {
                assert!(inside.x + inside.width <= a.width && inside.y + inside.height <= a.height);
                check(name, &inside.picture, inside.width, inside.height);
            }
        }
    }

    #[test]
    fn boxes_do_not_overlap_and_stay_inside() {
        for (name, definition) in samples::all().into_iter().chain(samples::wrong()) {
            let view = view::of(&definition);
            let picture = picture(&view);
            check(name, &picture, picture.width, picture.height);
        }
    }

    #[test]
    fn edges_go_down_and_keep_clear_of_boxes() {
        for (name, definition) in samples::all() {
            let view = view::of(&definition);
            let picture = picture(&view);
            for wire in &picture.wires {
                assert!(wire.points.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}");
                for run in wire.points.chunks(2) {
                    let (x, from, to) = (run[0].0, run[0].1, run[1].1);
                    let crosses = |b: &Placed<'_>| x > b.x && x < b.x + b.width && to > b.y && from < b.y + b.height;
                    assert!(!picture.boxes.iter().any(crosses), "{name}");
                }
            }
        }
    }
}
