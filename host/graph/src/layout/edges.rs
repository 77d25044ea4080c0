//! The edges: the cells through which they pass, and their points.

use super::{Cell, Placed, Wire};
use crate::view::Arrow;

/// Links the cells of an edge, adding one for each layer that it passes; returns those.
pub(super) fn chain(arrow: &Arrow, layers: &[usize], cells: &mut Vec<Cell>, cells_left: &mut usize) -> Vec<usize> {
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

pub(super) fn wire<'a>(
    arrow: &'a Arrow,
    passed: &[usize],
    cells: &[Cell],
    boxes: &[Placed<'_>],
    tops: &[(f64, f64)],
) -> Wire<'a> {
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
pub(super) fn fan_out(wires: &mut [Wire<'_>], boxes: &[Placed<'_>]) {
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
