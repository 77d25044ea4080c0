//! Draws the view: all of it anew, whatever the size of the terminal. What does not fit is left out, the least important first.

use super::app::{App, FlowRow, Prompt};
use faas_flow_core::run::{NodeView, Progress, RunView};
use faas_flow_core::text::printable;
use faas_flow_core::{Millis, Status, moment};
use faas_flow_http::ListedRun;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, StatefulWidget, Table, TableState, Widget};

/// Terminals that are lower show no flows.
const WITH_FLOWS: u16 = 16;
/// How many flows are shown at most.
const FLOWS: usize = 6;
/// Narrower terminals show neither the flow of a run nor what it is doing.
const WITH_FLOW: u16 = 60;
const WITH_DOING: u16 = 72;
/// Narrower terminals do not explain each key.
const WITH_WORDS: u16 = 56;
/// Wider terminals show more of the names of flows.
const WITH_NAMES: u16 = 100;
/// How wide the longest request id is that the host draws itself.
const ID: u16 = 33;

pub(super) fn draw(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    title(app, head, buffer);
    if app.open.is_some() {
        run(app, body, buffer);
    } else {
        runs(app, body, buffer);
    }
    last_line(app, foot, buffer);
}

fn title(app: &App, area: Rect, buffer: &mut Buffer) {
    let at = if app.now == 0 { "…".to_owned() } else { moment(app.now) };
    let place = printable(&app.place).to_string();
    let left = Line::from(vec![Span::styled("faas-flow top", Modifier::BOLD), Span::raw(format!("  {place}"))]);
    let right = Line::from(format!("{at}, every {} s", app.every().as_secs())).right_aligned();
    let room = u16::try_from(left.width() + right.width()).unwrap_or(u16::MAX);
    Paragraph::new(left).render(area, buffer);
    if room < area.width {
        Paragraph::new(right).render(area, buffer);
    }
}

fn last_line(app: &App, area: Rect, buffer: &mut Buffer) {
    let keys = match (app.open.is_some(), area.width >= WITH_WORDS) {
        (true, true) => "Esc back  p pause  r resume  s stop  q quit",
        (true, false) => "Esc back  p r s change  q quit",
        (false, true) => "Enter open  / filter  p pause  r resume  s stop  q quit",
        (false, false) => "Enter open  / filter  p r s  q quit",
    };
    let line = match (&app.prompt, &app.message) {
        (Prompt::Stop(run), _) => Line::styled(format!("stop run {run} for good? y or n"), Color::Yellow),
        (Prompt::Filter, _) => Line::from(format!("/{}_", printable(&app.filter))),
        (Prompt::Keys, Some(message)) if message.starts_with("error ") => Line::styled(message.clone(), Color::Red),
        (Prompt::Keys, Some(message)) => Line::from(message.clone()),
        (Prompt::Keys, None) => Line::styled(keys, Modifier::DIM),
    };
    Paragraph::new(line).render(area, buffer);
}

fn heading<'a>(names: impl IntoIterator<Item = &'a str>) -> Row<'a> {
    Row::new(names).style(Modifier::BOLD)
}

/// The flows, and below them their runs.
fn runs(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let flows = app.flows();
    let shown = if area.height + 2 < WITH_FLOWS { 0 } else { flows.len().min(FLOWS) };
    // With the line of the heading, and an empty one.
    let height = if shown == 0 { 0 } else { shown as u16 + 2 };
    let [above, below] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(area);
    if shown > 0 {
        let row = |(name, row): (&&str, &FlowRow)| {
            let failed = if row.failed > 0 { Style::from(Color::Red) } else { Style::new() };
            let count = |n: usize| Line::from(n.to_string()).right_aligned();
            let cells = [count(row.running), count(row.paused), count(row.started), count(row.failed).style(failed)];
            Row::new(std::iter::once(Line::from(printable(name).to_string())).chain(cells))
        };
        let widths = [Constraint::Fill(1), Constraint::Length(8), Constraint::Length(8), Constraint::Length(11)];
        let widths = widths.into_iter().chain([Constraint::Length(10)]);
        let names = ["FLOW", " RUNNING", "  PAUSED", "STARTED/MIN", "FAILED/MIN"];
        Widget::render(Table::new(flows.iter().take(shown).map(row), widths).header(heading(names)), above, buffer);
    }
    list(app, below, buffer);
}

fn list(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let selected = app.position();
    let listed = app.listed();
    let with_flow = area.width >= WITH_FLOW;
    let with_doing = area.width >= WITH_DOING;
    let row = |run: &&ListedRun| {
        let doing = app.doing.get(&run.request_id).map_or("", String::as_str);
        let took = run.ended.unwrap_or(app.now).saturating_sub(run.started);
        let mut cells = vec![
            Line::styled(run.status.as_str(), of_status(run.status)),
            Line::from(short(took)).right_aligned(),
            Line::from(printable(&run.request_id).to_string()),
        ];
        cells.extend(with_flow.then(|| Line::from(printable(&run.flow).to_string())));
        cells.extend(with_doing.then(|| Line::from(doing.to_owned())));
        Row::new(cells)
    };
    let mut widths = vec![Constraint::Length(9), Constraint::Length(6)];
    widths.push(if with_flow { Constraint::Max(ID) } else { Constraint::Fill(1) });
    let of_name = Constraint::Max(if area.width >= WITH_NAMES { 24 } else { 12 });
    widths.extend(with_flow.then_some(if with_doing { of_name } else { Constraint::Fill(1) }));
    widths.extend(with_doing.then_some(Constraint::Fill(1)));
    let names = ["STATUS", "   AGE", "REQUEST ID", "FLOW", "NODE"];
    let table =
        Table::new(listed.iter().map(row), widths.clone()).header(heading(names.into_iter().take(widths.len())));
    let is_empty = listed.is_empty();
    let offset = select(table, selected, area, buffer);
    if is_empty && app.now > 0 {
        let why = if app.filter.is_empty() { "no runs yet" } else { "no run matches the filter; Esc removes it" };
        let below = Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1).min(1), ..area };
        Paragraph::new(why).render(below, buffer);
    }
    app.on_screen = (offset, usize::from(area.height.saturating_sub(1)));
}

/// Draws a table whose selected row is on the screen; returns which row is the first one there.
fn select(table: Table<'_>, selected: usize, area: Rect, buffer: &mut Buffer) -> usize {
    let mut state = TableState::new().with_selected(selected);
    let table = table.row_highlight_style(Modifier::REVERSED);
    StatefulWidget::render(table, area, buffer, &mut state);
    state.offset()
}

/// A run with its nodes.
fn run(app: &App, area: Rect, buffer: &mut Buffer) {
    let Some(view) = &app.view else {
        Paragraph::new("…").render(area, buffer);
        return;
    };
    let mut lines = vec![
        Line::from(format!("run {} of flow {}", printable(&view.request_id), printable(&view.flow))),
        Line::from(vec![Span::styled(view.status.as_str(), of_status(view.status)), Span::raw(about(view, app.now))]),
    ];
    let failure = view.failure.as_ref().map(|failure| printable(failure).to_string());
    lines.extend(failure.map(|failure| Line::styled(failure, Color::Red)));
    let happened = view.nodes.get(app.node).map(NodeView::happened).unwrap_or_default();
    let height = lines.len() as u16;
    // What has happened to the selected node: at most a third of the room.
    let details = u16::try_from(happened.len()).unwrap_or(u16::MAX).min(area.height / 3);
    let parts = [Constraint::Length(height), Constraint::Min(0), Constraint::Length(details)];
    let [above, middle, below] = Layout::vertical(parts).areas(area);
    Paragraph::new(lines).render(above, buffer);
    nodes(app, view, middle, buffer);
    let latest = happened.len().saturating_sub(usize::from(details));
    let latest = happened.into_iter().skip(latest).map(|sentence| Line::from(printable(&sentence).to_string()));
    Paragraph::new(latest.collect::<Vec<_>>()).render(below, buffer);
}

fn about(view: &RunView, now: Millis) -> String {
    let took = short(view.took(now));
    let labels = if view.labels.is_empty() { String::new() } else { format!("  {}", printable(&view.labels)) };
    format!("  started {}, {took}{labels}", moment(view.started))
}

fn nodes(app: &App, view: &RunView, area: Rect, buffer: &mut Buffer) {
    let row = |node: &NodeView| {
        let since = || node.started.map(|started| app.now.saturating_sub(started));
        let took = node.took().or_else(since).map_or(String::new(), short);
        let waits = node.waits_for.as_ref().map_or(String::new(), |wait| format!("  waits for {}", printable(wait)));
        Row::new([
            Line::styled(node.progress.as_str(), of_progress(node.progress)),
            Line::from(took).right_aligned(),
            Line::from(node.tried().to_string()).right_aligned(),
            Line::from(format!("{}{waits}", printable(&node.path))),
        ])
    };
    let widths = [Constraint::Length(9), Constraint::Length(6), Constraint::Length(5), Constraint::Fill(1)];
    let names = ["PROGRESS", "  TOOK", "TRIES", "NODE"];
    select(Table::new(view.nodes.iter().map(row), widths).header(heading(names)), app.node, area, buffer);
}

fn of_status(status: Status) -> Style {
    match status {
        Status::Running => Color::Cyan.into(),
        Status::Paused => Color::Yellow.into(),
        Status::Succeeded => Color::Green.into(),
        Status::Failed => Color::Red.into(),
        Status::Stopped => Style::new(),
    }
}

fn of_progress(progress: Progress) -> Style {
    match progress {
        Progress::Running | Progress::Branching => Color::Cyan.into(),
        Progress::Done => Color::Green.into(),
        Progress::Failed => Color::Red.into(),
        Progress::Ready => Color::Yellow.into(),
        Progress::Waiting | Progress::Cancelled => Modifier::DIM.into(),
    }
}

/// A time in at most six characters: `250ms`, `12.3s`, `5m 3s`, `7h12m`, `12d`.
fn short(ms: Millis) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms}ms"),
        1..60 => format!("{seconds}.{}s", ms % 1000 / 100),
        60..3600 => format!("{}m{:>2}s", seconds / 60, seconds % 60),
        3600..360_000 => format!("{}h{:>2}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_time_is_short() {
        let times = [0, 250, 12_345, 303_000, 25_920_000, 1_036_800_000];
        assert_eq!(times.map(short), ["0ms", "250ms", "12.3s", "5m 3s", "7h12m", "12d"]);
        assert!((0..12).all(|power| short(10u64.pow(power)).len() <= 6));
    }
}
