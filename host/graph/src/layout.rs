//! The layout: layers by longest path, ordered by barycentres, with each dag laid out inside its node's box.
//!
//! Edges that span several layers pass through invisible cells, so no edge crosses a box. Coordinates inside a
//! [`Picture`] are relative to it, in pixels.

use crate::view::{Arrow, Frame, Shape, View};
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

/// Links the cells of an edge, adding one for each layer that it passes; returns those.
fn chain(arrow: &Arrow, layers: &[usize], cells: &mut Vec<Cell>, cells_left: &mut usize) -> Vec<usize> {
    let (Some(&first), Some(&last)) = (layers.get(arrow.from), layers.get(arrow.to)) else { return Vec::new() };
    if last <= first {
        return Vec::new();
    }
    let mut passed = Vec::new();
    let through = first + 1..last;
    if let Some(left) = cells_left.checked_sub(through.len()) {
        *cells_left = left;
        for layer in through {
            passed.push(cells.len());
            cells.push(Cell::new(layer, 10.0));
        }
    }
    let stops: Vec<usize> = [arrow.from].into_iter().chain(passed.iter().copied()).chain([arrow.to]).collect();
    for (&upper, &lower) in stops.iter().zip(stops.iter().skip(1)) {
        if let Some(cell) = cells.get_mut(upper) {
            cell.below.push(lower);
        }
        if let Some(cell) = cells.get_mut(lower) {
            cell.above.push(upper);
        }
    }
    passed
}

fn mean(cells: &[Cell], of: &[usize]) -> Option<f64> {
    let sum: f64 = of.iter().filter_map(|index| cells.get(*index)).map(|cell| cell.x).sum();
    (!of.is_empty()).then(|| sum / of.len() as f64)
}

/// Sorts each row by the mean place of its neighbours in the row before, downwards and upwards in turn, and keeps the
/// order with the fewest crossings.
fn order(rows: &mut [Vec<usize>], cells: &mut [Cell]) {
    let settle = |row: &[usize], cells: &mut [Cell]| {
        for (at, index) in row.iter().enumerate() {
            if let Some(cell) = cells.get_mut(*index) {
                cell.x = at as f64 - (row.len() as f64 - 1.0) / 2.0;
            }
        }
    };
    for row in rows.iter() {
        settle(row, cells);
    }
    let mut best = (crossings(rows, cells), rows.to_vec());
    for sweep in 0..SWEEPS {
        if best.0 == 0 {
            break;
        }
        let downwards = sweep % 2 == 0;
        let mut sort = |row: &mut Vec<usize>| {
            let place = |index: &usize| {
                let cell = cells.get(*index);
                let wanted = cell.and_then(|cell| mean(cells, if downwards { &cell.above } else { &cell.below }));
                wanted.unwrap_or_else(|| cell.map_or(0.0, |cell| cell.x))
            };
            let mut keyed: Vec<(f64, usize)> = row.iter().map(|index| (place(index), *index)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *row = keyed.into_iter().map(|(_, index)| index).collect();
            settle(row, cells);
        };
        if downwards {
            for row in rows.iter_mut() {
                sort(row);
            }
        } else {
            for row in rows.iter_mut().rev() {
                sort(row);
            }
        }
        let now = crossings(rows, cells);
        if now < best.0 {
            best = (now, rows.to_vec());
        }
    }
    rows.clone_from_slice(&best.1);
}

/// How many pairs of edges cross.
fn crossings(rows: &[Vec<usize>], cells: &[Cell]) -> usize {
    let of_row = |row: &Vec<usize>| {
        let upper = row.iter().filter_map(|index| cells.get(*index));
        let ends = upper.flat_map(|cell| cell.below.iter().filter_map(|to| cells.get(*to)).map(|to| (cell.x, to.x)));
        crossed(ends.collect())
    };
    rows.iter().map(of_row).sum()
}

/// How many pairs of lines cross, each of which goes from a place in one row to a place in the next: those whose order is not
/// the same in both rows.
fn crossed(mut lines: Vec<(f64, f64)>) -> usize {
    lines.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut lower: Vec<f64> = lines.into_iter().map(|(_, lower)| lower).collect();
    out_of_order(&mut lower)
}

/// Sorts places, and counts the pairs of which the former was greater.
fn out_of_order(places: &mut [f64]) -> usize {
    if places.len() < 2 {
        return 0;
    }
    let (left, right) = places.split_at_mut(places.len() / 2);
    let mut count = out_of_order(left) + out_of_order(right);
    let mut sorted = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(&&a), Some(&&b)) = (l.peek(), r.peek()) {
        if b < a {
            count += l.len();
            sorted.push(b);
            r.next();
        } else {
            sorted.push(a);
            l.next();
        }
    }
    sorted.extend(l.chain(r).copied());
    places.copy_from_slice(&sorted);
    count
}

/// Gives every cell its centre: as near to its neighbours' as the order and the gaps of its row allow.
fn spread(rows: &[Vec<usize>], cells: &mut [Cell]) {
    for row in rows {
        place(row, cells, |_, _| Some(0.0));
    }
    for sweep in 0..SWEEPS {
        let wanted = |cells: &[Cell], cell: &Cell| match sweep {
            _ if sweep + 2 >= SWEEPS => match (mean(cells, &cell.above), mean(cells, &cell.below)) {
                (Some(above), Some(below)) => Some((above + below) / 2.0),
                (above, below) => above.or(below),
            },
            _ if sweep % 2 == 0 => mean(cells, &cell.above),
            _ => mean(cells, &cell.below),
        };
        if sweep % 2 == 0 {
            for row in rows {
                place(row, cells, wanted);
            }
        } else {
            for row in rows.iter().rev() {
                place(row, cells, wanted);
            }
        }
    }
    let left = cells.iter().map(|cell| cell.x - cell.width / 2.0).fold(f64::INFINITY, f64::min);
    for cell in cells {
        cell.x -= left;
    }
}

/// Places one row by pooling adjacent violators: the least squares of all moves away from the wanted places.
fn place(row: &[usize], cells: &mut [Cell], wanted: impl Fn(&[Cell], &Cell) -> Option<f64>) {
    let mut offset = 0.0;
    let mut previous: Option<f64> = None;
    let mut offsets = Vec::with_capacity(row.len());
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for cell in row.iter().filter_map(|index| cells.get(*index)) {
        if let Some(width) = previous {
            offset += (width + cell.width) / 2.0 + GAP;
        }
        previous = Some(cell.width);
        offsets.push(offset);
        let mut pool = (wanted(cells, cell).unwrap_or(cell.x) - offset, 1);
        while let Some(&(sum, count)) = pools.last()
            && sum * pool.1 as f64 >= pool.0 * count as f64
        {
            pools.pop();
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
    }
    let places = pools.into_iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count));
    for ((index, offset), place) in row.iter().zip(offsets).zip(places) {
        if let Some(cell) = cells.get_mut(*index) {
            cell.x = place + offset;
        }
    }
}

fn wire<'a>(arrow: &'a Arrow, passed: &[usize], cells: &[Cell], boxes: &[Placed<'_>], tops: &[(f64, f64)]) -> Wire<'a> {
    let mut points = Vec::new();
    if let (Some(from), Some(to)) = (boxes.get(arrow.from), boxes.get(arrow.to)) {
        let row = |index: usize| cells.get(index).and_then(|cell| tops.get(cell.layer)).copied().unwrap_or_default();
        let from_x = from.x + from.width / 2.0;
        let to_x = to.x + to.width / 2.0;
        points.extend([(from_x, from.y + from.height), (from_x, row(arrow.from).1)]);
        for &index in passed {
            let (top, bottom) = row(index);
            let x = cells.get(index).map_or(from_x, |cell| cell.x);
            points.extend([(x, top), (x, bottom)]);
        }
        points.extend([(to_x, row(arrow.to).0), (to_x, to.y)]);
    }
    Wire { arrow, points }
}

/// Where several edges leave or reach a box, they do so side by side, in the order of where they go or come from.
fn fan_out(wires: &mut [Wire<'_>], boxes: &[Placed<'_>]) {
    for leaving in [true, false] {
        let mut at_box: Vec<Vec<(f64, usize)>> = vec![Vec::new(); boxes.len()];
        for (index, wire) in wires.iter().enumerate() {
            let other = if leaving { wire.points.get(2) } else { wire.points.iter().rev().nth(2) };
            let shape = if leaving { wire.arrow.from } else { wire.arrow.to };
            if let (Some(other), Some(ends)) = (other, at_box.get_mut(shape)) {
                ends.push((other.0, index));
            }
        }
        for (placed, ends) in boxes.iter().zip(&mut at_box).filter(|(_, ends)| ends.len() > 1) {
            ends.sort_by(|a, b| a.0.total_cmp(&b.0));
            let step = (placed.width * 0.7 / (ends.len() - 1) as f64).min(18.0);
            let first = placed.x + (placed.width - step * (ends.len() - 1) as f64) / 2.0;
            for (at, (_, index)) in ends.iter().enumerate() {
                let Some(wire) = wires.get_mut(*index) else { continue };
                let skipped = if leaving { 0 } else { wire.points.len().saturating_sub(2) };
                for point in wire.points.iter_mut().skip(skipped).take(2) {
                    point.0 = first + step * at as f64;
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

    /// Every pair, one after the other.
    fn crossed_by_pairs(lines: &[(f64, f64)]) -> usize {
        let pairs = lines.iter().enumerate().flat_map(|(at, a)| lines.iter().skip(at + 1).map(move |b| (a, b)));
        pairs.filter(|(a, b)| (a.0 - b.0) * (a.1 - b.1) < 0.0).count()
    }

    proptest::proptest! {
        #[test]
        fn crossings_are_those_of_all_pairs(lines in proptest::collection::vec((0..9_i32, 0..9_i32), 0..60)) {
            let lines: Vec<(f64, f64)> = lines.into_iter().map(|(a, b)| (f64::from(a) / 2.0, f64::from(b))).collect();
            proptest::prop_assert_eq!(crossed_by_pairs(&lines), crossed(lines.clone()));
        }
    }

    #[test]
    fn a_row_keeps_its_order_and_its_gaps() {
        let mut cells: Vec<Cell> = (0..3).map(|_| Cell::new(0, 10.0)).collect();
        place(&[2, 0, 1], &mut cells, |_, _| Some(5.0));
        assert_eq!([cells[2].x, cells[0].x, cells[1].x], [5.0 - 38.0, 5.0, 5.0 + 38.0]);
    }
}
