//! Whether a replica lives. One that does not has no effect any more: whatever it begins never ends.

use super::chance::{Answer, Fault, World};
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// One replica's switch.
pub struct Power {
    /// The replica's name, for the trace.
    pub name: String,
    /// The world in which it is.
    pub world: Arc<World>,
    off: AtomicBool,
    died: Notify,
    /// The same, for what the replica does by itself.
    over: Notify,
}

impl Power {
    /// The switch of a replica that lives.
    pub fn new(name: String, world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { name, world, off: AtomicBool::new(false), died: Notify::new(), over: Notify::new() })
    }

    /// Whether the replica lives.
    pub fn is_on(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    /// The replica dies.
    pub fn cut(&self) {
        self.off.store(true, Ordering::Relaxed);
        self.world.note(format_args!("{} dies", self.name));
        self.died.notify_one();
        self.over.notify_one();
    }

    /// Waits until it has died.
    pub async fn dead(&self) {
        while self.is_on() {
            self.died.notified().await;
        }
    }

    /// Does something until the replica dies. Only one thing is done so.
    pub(super) async fn until_dead(self: Arc<Self>, work: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = self.over.notified() => {}
            () = work => {}
        }
    }

    async fn pass(&self) {
        if !self.is_on() {
            pending().await
        }
    }

    /// Takes a step of the replica: its effect is at one moment, with time before and after it, and perhaps a fault. Without an
    /// answer, nothing tells whether the effect was.
    pub async fn step<T>(&self, what: &str, effect: impl Future<Output = T>) -> Option<T> {
        self.step_with(Answer::MayFail, what, effect).await
    }

    /// Takes a step at which no fault is tried. If the replica dies there or at its next step, is the same.
    pub(super) async fn look<T>(&self, what: &str, effect: impl Future<Output = T>) -> T {
        self.pass().await;
        self.world.take_time().await;
        self.pass().await;
        self.world.note(format_args!("{} {what}", self.name));
        effect.await
    }

    /// The same, of a step of which it is known whether its answer may get lost.
    pub async fn step_with<T>(&self, answer: Answer, what: &str, effect: impl Future<Output = T>) -> Option<T> {
        self.pass().await;
        let fault = self.world.next_fault(answer);
        self.world.take_time().await;
        self.pass().await;
        match fault {
            Some(fault) => self.world.note(format_args!("{} {what}: {fault:?}", self.name)),
            None => self.world.note(format_args!("{} {what}", self.name)),
        }
        match fault {
            Some(Fault::CrashBefore) => self.cut(),
            Some(Fault::FailBefore) => return None,
            _ => {}
        }
        self.pass().await;
        let done = effect.await;
        if fault == Some(Fault::CrashAfter) {
            self.cut();
        }
        self.world.take_time().await;
        self.pass().await;
        (fault != Some(Fault::FailAfter)).then_some(done)
    }
}
