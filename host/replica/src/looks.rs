//! Looks at runs, as the dashboard takes them: those who look at the same run share one. It is renewed with what has changed,
//! in pieces, so that a wide run holds up nobody else. What that costs decides how long a look is good for: however many look,
//! it takes at most a fortieth of the time.

use super::apart::apart_if;
use super::host::Host;
use super::services::Services;
use crate::Error;
use faas_flow_core::run::{Doc, Run, RunState, RunView, Scope, Scopes};
use faas_flow_core::{Digest, Partition, RunId};
use faas_flow_store::Seen;
use faas_flow_versions::Error as VersionsError;
use faas_flow_versions::runs::{load_run, read};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::{Instant, sleep};

/// A look is good for as many times what it took to renew it, and to make of it what is shown.
const GOOD_FOR: u32 = 40;
/// The longest time that a look is good for.
const LONGEST: Duration = Duration::from_secs(60);
/// After this time all of a run is read again.
const REREAD: Duration = Duration::from_secs(600);
/// How many runs are remembered at most, and how many scopes of them together.
const REMEMBERED: (usize, usize) = (64, 300_000);
/// A run with so many scopes is wide: those who look do not wait until its look is renewed.
const WIDE: usize = 2000;
/// How long they wait nevertheless.
const PATIENCE: Duration = Duration::from_millis(20);
/// How much of what was made of a look is kept.
const MADE: usize = 16;

/// What somebody who looks at a wide run is content with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enough {
    /// All of the run, as it was a moment ago.
    Whole,
    /// Also a part of it, while it is read for the first time.
    Part,
}

/// A run as it was a moment ago, which is renewed while somebody looks at it.
#[derive(Debug)]
pub struct Look {
    shown: RwLock<Shown>,
    /// Locked while the look is renewed. It holds what was read of the run.
    reading: Arc<tokio::sync::Mutex<Reading>>,
    /// How far it was read the first time.
    read: watch::Sender<Read>,
    made: tokio::sync::Mutex<AllMade>,
}

/// What somebody has made of a look.
#[derive(Debug, Clone)]
pub struct Made {
    /// What is shown.
    pub text: Arc<str>,
    /// The digest of the text.
    pub digest: Digest,
}

/// What those who look have made of a look.
#[derive(Debug, Default)]
struct AllMade {
    /// Of which state of the look: how often it had been renewed, and the version of the run's own document.
    of: (u64, u64),
    /// By names that they choose.
    texts: HashMap<String, Made>,
}

#[derive(Debug)]
struct Reading {
    seen: Arc<Seen>,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    scopes: usize,
    is_whole: bool,
}

/// What is shown of a run.
#[derive(Debug)]
pub struct Shown {
    run: Run,
    /// The version of the run's own document. It changes when the run is paused, resumed, stopped or run again, and when it
    /// ends: all that somebody who looks may have done.
    version: u64,
    scopes: Scopes<Scope>,
    renewals: u64,
    latest: Option<Renewal>,
}

#[derive(Debug)]
struct Renewal {
    version: u64,
    at: Instant,
    good_for: Duration,
}

/// How old a look is.
enum Age {
    /// It is good.
    Good,
    /// It is shown once more while it is renewed.
    Ripe,
    /// It is renewed before it is shown.
    Old,
}

impl Shown {
    /// The run, without its nodes.
    pub fn head(&self) -> RunView {
        RunView::head(&self.run)
    }

    /// The run's own document.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Its scopes, in which its nodes are.
    pub fn scopes(&self) -> &Scopes<Scope> {
        &self.scopes
    }

    /// Whether all of the run was read, and not only a part of its scopes so far.
    pub fn is_whole(&self) -> bool {
        self.latest.is_some()
    }

    fn age(&self, version: u64) -> Age {
        match &self.latest {
            Some(latest) if latest.version == version => match latest.at.elapsed() {
                age if age < latest.good_for => Age::Good,
                age if age < latest.good_for * 2 => Age::Ripe,
                _ => Age::Old,
            },
            _ => Age::Old,
        }
    }

    /// Takes the run's own document, unless a newer one is known.
    fn note(&mut self, head: &RunState) {
        if head.run_version() > self.version {
            (self.run, self.version) = (head.run().clone(), head.run_version());
        }
    }
}

impl Look {
    fn new(head: &RunState) -> Self {
        let shown = Shown { run: head.run().clone(), version: 0, scopes: Scopes::default(), renewals: 0, latest: None };
        Self {
            shown: RwLock::new(shown),
            reading: Arc::new(tokio::sync::Mutex::new(Reading { seen: Arc::default(), since: Instant::now() })),
            read: watch::Sender::new(Read { scopes: 0, is_whole: false }),
            made: tokio::sync::Mutex::default(),
        }
    }

    /// What is known of the run at this moment. While somebody has it, the look is not renewed.
    pub fn shown(&self) -> RwLockReadGuard<'_, Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Shown> {
        self.shown.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What somebody makes of the look and calls by a name. It is made once, until the look is renewed.
    pub async fn made<E>(&self, name: String, make: impl Future<Output = Result<String, E>>) -> Result<Made, E> {
        let mut made = self.made.lock().await;
        let of = {
            let shown = self.shown();
            (shown.renewals, shown.version)
        };
        if made.of != of {
            *made = AllMade { of, ..AllMade::default() };
        }
        if let Some(known) = made.texts.get(&name) {
            return Ok(known.clone());
        }
        let begun = Instant::now();
        let text: Arc<str> = make.await?.into();
        let new = Made { digest: Digest::of(text.as_bytes()), text };
        if let Some(latest) = &mut self.change().latest {
            latest.good_for = (latest.good_for + begun.elapsed() * GOOD_FOR).min(LONGEST);
        }
        if made.texts.len() >= MADE {
            made.texts.clear();
        }
        made.texts.insert(name, new.clone());
        Ok(new)
    }

    /// Reads what has changed, which `reading` gives the right to.
    async fn renew(
        self: Arc<Self>,
        services: Arc<Services>,
        head: RunState,
        mut reading: OwnedMutexGuard<Reading>,
    ) -> Result<(), Error> {
        let (begun, run) = (Instant::now(), &head.run().id);
        let partition = Partition::of_run(run);
        if reading.since.elapsed() > REREAD {
            *reading = Reading { seen: Arc::default(), since: begun };
        }
        Arc::make_mut(&mut reading.seen).begin();
        let mut is_whole = false;
        while !is_whole {
            let changed = services.state.read_changed(&partition, &reading.seen).await?;
            let mut scopes = Vec::with_capacity(changed.documents.len());
            for (name, document) in &changed.documents {
                if let Some(Doc::Scope(_)) = Doc::parse(name) {
                    scopes.push(read::<Scope>(run, document)?);
                }
            }
            Arc::make_mut(&mut reading.seen).note(&changed);
            is_whole = !changed.more;
            let is_wide = self.read.borrow().scopes >= WIDE;
            apart_if(is_wide, || self.put(scopes, is_whole));
            // Others have their turn between two pieces.
            tokio::task::yield_now().await;
        }
        let mut shown = self.change();
        shown.note(&head);
        shown.renewals += 1;
        let good_for = (begun.elapsed() * GOOD_FOR).min(LONGEST);
        shown.latest = Some(Renewal { version: head.run_version(), at: Instant::now(), good_for });
        drop(shown);
        self.read.send_modify(|read| read.is_whole = true);
        Ok(())
    }

    /// Takes scopes that were read, and puts them in their places if that is worth it.
    fn put(&self, scopes: Vec<Scope>, is_whole: bool) {
        let before = self.read.borrow().scopes;
        let mut shown = self.change();
        for scope in scopes {
            shown.scopes.put(scope);
        }
        let count = shown.scopes.len();
        // Of a wide run that is read for the first time, ever larger parts are shown.
        let is_part = !shown.is_whole() && count >= WIDE.max(before * 2);
        if is_whole || is_part {
            shown.scopes.settle();
            shown.renewals += u64::from(is_part);
            drop(shown);
            self.read.send_modify(|read| read.scopes = count);
        }
    }

    /// Waits until what is there suffices for somebody who looks at a wide run.
    async fn suffices(&self, enough: Enough) {
        let mut reads = self.read.subscribe();
        let wide =
            reads.wait_for(|read| read.scopes >= WIDE && (read.is_whole || enough == Enough::Part)).await.is_ok();
        if !wide {
            std::future::pending::<()>().await;
        }
        sleep(PATIENCE).await;
    }
}

/// The looks at the runs that somebody has looked at lately.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<RunId, Arc<Look>>>);

impl Looks {
    /// The look at a run. A run that was deleted and begun again is another one.
    fn of(&self, head: &RunState) -> Arc<Look> {
        let run = head.run();
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = looks.get(&run.id).filter(|look| look.shown().run.started == run.started) {
            return look.clone();
        }
        let scopes: usize = looks.values().map(|look| look.read.borrow().scopes).sum();
        if looks.len() >= REMEMBERED.0 || scopes >= REMEMBERED.1 {
            looks.clear();
        }
        let look = Arc::new(Look::new(head));
        looks.insert(run.id.clone(), look.clone());
        look
    }
}

impl Host {
    /// A stored run, as people see it; `None` if there is no such run. It may be a moment old: its nodes at most eighty times as
    /// long as it takes to read what has changed, and at most two minutes. Those of a wide run may be older if nobody has looked
    /// for long, since the first look does not wait for them.
    pub async fn look(&self, run: &RunId, enough: Enough) -> Result<Option<Arc<Look>>, Error> {
        self.runs.written(run).await;
        let services = &self.services;
        let Some(head) = load_run(&*services.state, run).await? else { return Ok(None) };
        let look = self.looks.of(&head);
        let version = head.run_version();
        if look.shown().version < version {
            look.change().note(&head);
        }
        let age = look.shown().age(version);
        match age {
            Age::Good => return Ok(Some(look)),
            Age::Ripe => {
                if let Ok(reading) = look.reading.clone().try_lock_owned() {
                    // If it fails, the next look shows why.
                    tokio::spawn(look.clone().renew(services.clone(), head, reading));
                }
                return Ok(Some(look));
            }
            Age::Old => {}
        }
        let renewed = async {
            let reading = look.reading.clone().lock_owned().await;
            if matches!(look.shown().age(version), Age::Good) {
                return Ok(());
            }
            // It goes on if its caller goes away, since others wait for it, too.
            let renewed = tokio::spawn(look.clone().renew(services.clone(), head, reading)).await;
            renewed.map_err(|source| VersionsError::Interrupted { task: "reading the run", source })?
        };
        tokio::select! {
            renewed = renewed => renewed?,
            () = look.suffices(enough) => {}
        }
        Ok(Some(look))
    }
}
