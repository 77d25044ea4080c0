//! The cells of each layer: their order, with few crossings, and their places, near to their neighbours.

use super::{Cell, GAP, SWEEPS};

fn mean(cells: &[Cell], of: &[usize]) -> Option<f64> {
    let sum: f64 = of.iter().filter_map(|index| cells.get(*index)).map(|cell| cell.x).sum();
    (!of.is_empty()).then(|| sum / of.len() as f64)
}

/// Sorts each row by the mean place of its neighbours in the row before, downwards and upwards in turn, and keeps the
/// order with the fewest crossings.
pub(super) fn order(rows: &mut [Vec<usize>], cells: &mut [Cell]) {
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
pub(super) fn spread(rows: &[Vec<usize>], cells: &mut [Cell]) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
