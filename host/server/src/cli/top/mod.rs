//! `faas-flow top`: the flows and runs of a server or a state store, as a live view in a terminal.

mod app;
mod draw;
mod source;
#[cfg(test)]
mod tests;

use super::existing::StoreKeys;
use super::output::{complain, print};
use super::requests::place;
use super::token::AdminToken;
use crate::Error;
use crate::config::Options;
use app::{App, Wish};
use clap::Args;
use draw::draw;
use faas_flow_core::{FlowName, RunId};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::layout::Rect;
use source::{Found, Source};
use std::io::IsTerminal as _;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// The exit code for wrong usage.
const USAGE: u8 = 2;
/// How large a frame is that goes to no terminal.
const PAGE: Rect = Rect { x: 0, y: 0, width: 100, height: 30 };

/// Keys: arrows or j and k select, Enter opens a run, Esc goes back, / filters, p pauses, r resumes and s stops the selected run, q quits.
#[derive(Args)]
pub(super) struct Top {
    /// Request id of a run to open
    id: Option<String>,
    #[command(flatten)]
    keys: Options<StoreKeys>,
    /// URL of the flow, for example http://gateway:8080/function/greet, or its name on the gateway at $OPENFAAS_URL; or URL of a gateway or server [default: the state store is read, and runs cannot be changed]
    #[arg(long, value_name = "URL", env = "FAAS_FLOW_TO", hide_env_values = true)]
    to: Option<String>,
    /// Only show this flow; needed if the gateway does not list its flows
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    #[command(flatten)]
    admin: AdminToken,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// Print one frame as text and quit
    #[arg(long)]
    once: bool,
}

impl Top {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let Self { id, keys, to, flow, admin, every, once } = self;
        let run = id.map(RunId::new).transpose()?;
        let flow = flow.map(FlowName::new).transpose()?;
        let has_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        if !once && !has_terminal {
            complain(
                "error: there is no terminal to draw on; print one frame with --once, or see `faas-flow requests list`",
            );
            return Ok(ExitCode::from(USAGE));
        }
        let source = Source::new(place(keys.read()?, (to.clone(), flow.clone()), admin.asking())?, flow);
        let mut app = App::new(to, Duration::from_secs(every), run);
        if once {
            app.found(source.find(&app.wanted()).await?);
            print(frame(&mut app, PAGE));
            return Ok(ExitCode::SUCCESS);
        }
        let terminal = ratatui::try_init().map_err(|source| Error::System { what: "draw on the terminal", source });
        let shown = match terminal {
            Ok(terminal) => show(terminal, app, Arc::new(source)).await,
            Err(error) => Err(error),
        };
        ratatui::restore();
        shown.map(|()| ExitCode::SUCCESS)
    }
}

/// One frame as text: lines without spaces at their ends.
fn frame(app: &mut App, area: Rect) -> String {
    let mut buffer = Buffer::empty(area);
    draw(app, area, &mut buffer);
    let line = |y| (0..area.width).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect::<String>();
    let text: String = (0..area.height).map(|y| format!("{}\n", line(y).trim_end())).collect();
    format!("{}\n", text.trim_end())
}

/// What has come of something that was asked in the background.
enum Answer {
    Found(Result<Box<Found>, Error>),
    Said(Result<String, Error>),
}

/// Shows the app until somebody quits.
async fn show(mut terminal: DefaultTerminal, mut app: App, source: Arc<Source>) -> Result<(), Error> {
    let io = |source| Error::System { what: "draw on the terminal", source };
    let mut ends = signal(SignalKind::terminate()).map_err(io)?;
    let mut interrupts = signal(SignalKind::interrupt()).map_err(io)?;
    let mut keys = keys();
    let mut asked: FuturesUnordered<Pin<Box<dyn Future<Output = Answer>>>> = FuturesUnordered::new();
    let mut ticks = interval(app.every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_asked = false;
    loop {
        terminal.draw(|frame| draw(&mut app, frame.area(), frame.buffer_mut())).map_err(io)?;
        let wish = tokio::select! {
            event = keys.recv() => match event {
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => app.key(key),
                Some(_) => None,
                None => Some(Wish::Quit),
            },
            _ = ticks.tick() => Some(Wish::Look),
            _ = ends.recv() => Some(Wish::Quit),
            _ = interrupts.recv() => Some(Wish::Quit),
            Some(answer) = asked.next() => match answer {
                Answer::Found(found) => {
                    is_asked = false;
                    match found {
                        Ok(found) => app.found(*found),
                        Err(error) => app.failed(&error),
                    }
                    None
                }
                Answer::Said(said) => {
                    app.said(said);
                    Some(Wish::Look)
                }
            },
        };
        match wish {
            Some(Wish::Quit) => return Ok(()),
            // A look that takes longer than the interval is not asked for twice.
            Some(Wish::Look) if !is_asked => {
                is_asked = true;
                let (source, wanted) = (source.clone(), app.wanted());
                asked.push(Box::pin(async move { Answer::Found(source.find(&wanted).await.map(Box::new)) }));
            }
            Some(Wish::Change(run, action)) => {
                let source = source.clone();
                asked.push(Box::pin(async move { Answer::Said(source.change(&run, &action).await) }));
            }
            Some(Wish::Look) | None => {}
        }
    }
}

/// What happens at the terminal. The thread that waits for it ends with the process.
fn keys() -> mpsc::UnboundedReceiver<Event> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    receiver
}
