//! WASI 0.2 as a flow sees it.

use super::system::{Output, Stopped, WRITTEN};
use crate::state::State;
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};

/// How many random bytes can be had at once.
const RANDOM: usize = 1 << 20;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A timer, or something that never has to be waited for.
pub(super) enum Pollable {}
pub(super) enum InputStream {}
pub(super) enum OutputStream {}
pub(super) enum TerminalInput {}
pub(super) enum TerminalOutput {}
/// Something that flows do not have. No handle of it exists.
pub(super) enum Absent {}

/// What [`OutputStream`]s are.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "nothing that a flow does to a stream fails, but for the end of stdin")]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<Absent>),
    #[component(name = "closed")]
    Closed,
}

type Store<'a> = StoreContextMut<'a, State>;
type Instance<'a> = LinkerInstance<'a, State>;

/// Offers a resource with this name.
pub(super) fn offer_resource(instance: &mut Instance<'_>, name: &str) -> Result<()> {
    let ty = match name {
        "pollable" => {
            return instance.resource(name, ResourceType::host::<Pollable>(), |mut store, timer| {
                store.data_mut().system.release_timer(timer);
                Ok(())
            });
        }
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "terminal-input" => ResourceType::host::<TerminalInput>(),
        "terminal-output" => ResourceType::host::<TerminalOutput>(),
        _ => ResourceType::host::<Absent>(),
    };
    instance.resource(name, ty, |mut store, _| {
        store.data_mut().system.release();
        Ok(())
    })
}

/// Offers the functions of an interface that flows have. Whether they are of the type that the module expects is checked when it
/// is linked.
pub(super) fn offer(instance: &mut Instance<'_>, interface: &str) -> Result<()> {
    match interface {
        "wasi:cli/environment" => environment(instance),
        "wasi:cli/exit" => exit(instance),
        "wasi:cli/stdin" => {
            instance.func_wrap("get-stdin", |mut store: Store<'_>, (): ()| Ok((hold::<InputStream>(&mut store, 0)?,)))
        }
        "wasi:cli/stdout" => instance
            .func_wrap("get-stdout", |mut store: Store<'_>, (): ()| Ok((hold::<OutputStream>(&mut store, STDOUT)?,))),
        "wasi:cli/stderr" => instance
            .func_wrap("get-stderr", |mut store: Store<'_>, (): ()| Ok((hold::<OutputStream>(&mut store, STDERR)?,))),
        "wasi:cli/terminal-stdin" => {
            instance.func_wrap("get-terminal-stdin", |_: Store<'_>, (): ()| Ok((None::<Resource<TerminalInput>>,)))
        }
        // Terminals, so that lines are not held back.
        "wasi:cli/terminal-stdout" => instance.func_wrap("get-terminal-stdout", |mut store: Store<'_>, (): ()| {
            Ok((Some(hold::<TerminalOutput>(&mut store, STDOUT)?),))
        }),
        "wasi:cli/terminal-stderr" => instance.func_wrap("get-terminal-stderr", |mut store: Store<'_>, (): ()| {
            Ok((Some(hold::<TerminalOutput>(&mut store, STDERR)?),))
        }),
        "wasi:clocks/monotonic-clock" => monotonic_clock(instance),
        "wasi:clocks/wall-clock" => wall_clock(instance),
        "wasi:io/poll" => poll(instance),
        "wasi:io/streams" => {
            input(instance)?;
            output(instance)
        }
        "wasi:random/random" => random(instance, ["get-random-bytes", "get-random-u64"]),
        "wasi:random/insecure" => random(instance, ["get-insecure-random-bytes", "get-insecure-random-u64"]),
        "wasi:random/insecure-seed" => instance.func_wrap("insecure-seed", |mut store: Store<'_>, (): ()| {
            let state = store.data_mut();
            Ok(((state.random(), state.random()),))
        }),
        "wasi:filesystem/preopens" => instance
            .func_wrap("get-directories", |_: Store<'_>, (): ()| Ok((Vec::<(Resource<Absent>, String)>::new(),))),
        _ => Ok(()),
    }
}

fn hold<T: 'static>(store: &mut Store<'_>, which: u32) -> Result<Resource<T>> {
    store.data_mut().system.hold(which)
}

fn environment(instance: &mut Instance<'_>) -> Result<()> {
    instance.func_wrap("get-environment", |_: Store<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
    instance.func_wrap("get-arguments", |_: Store<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
    instance.func_wrap("initial-cwd", |_: Store<'_>, (): ()| Ok((None::<String>,)))
}

fn exit(instance: &mut Instance<'_>) -> Result<()> {
    instance.func_wrap("exit", |_: Store<'_>, (status,): (Result<(), ()>,)| -> Result<()> {
        Err(Stopped::Exited { status: u32::from(status.is_err()) }.into())
    })?;
    instance.func_wrap("exit-with-code", |_: Store<'_>, (status,): (u8,)| -> Result<()> {
        Err(Stopped::Exited { status: status.into() }.into())
    })
}

fn monotonic_clock(instance: &mut Instance<'_>) -> Result<()> {
    instance.func_wrap("now", |store: Store<'_>, (): ()| Ok((store.data().system.monotonic(),)))?;
    instance.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((1u64,)))?;
    instance.func_wrap("subscribe-instant", |mut store: Store<'_>, (moment,): (u64,)| {
        Ok((store.data_mut().system.timer_at::<Pollable>(moment)?,))
    })?;
    instance.func_wrap("subscribe-duration", |mut store: Store<'_>, (nanos,): (u64,)| {
        Ok((store.data_mut().system.timer_after::<Pollable>(nanos)?,))
    })
}

fn wall_clock(instance: &mut Instance<'_>) -> Result<()> {
    instance.func_wrap("now", |store: Store<'_>, (): ()| {
        let nanos = store.data().time();
        let nanoseconds = u32::try_from(nanos % NANOS_PER_SECOND).unwrap_or_default();
        Ok((Datetime { seconds: nanos / NANOS_PER_SECOND, nanoseconds },))
    })?;
    instance.func_wrap("resolution", |_: Store<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
}

fn poll(instance: &mut Instance<'_>) -> Result<()> {
    instance.func_wrap("[method]pollable.ready", |store: Store<'_>, (timer,): (Resource<Pollable>,)| {
        Ok((store.data().system.is_due(timer.rep()),))
    })?;
    instance.func_wrap("[method]pollable.block", |mut store: Store<'_>, (timer,): (Resource<Pollable>,)| {
        store.data_mut().system.sleep_until_first(std::iter::once(timer.rep()))
    })?;
    instance.func_wrap("poll", |mut store: Store<'_>, (timers,): (Vec<Resource<Pollable>>,)| {
        let system = &mut store.data_mut().system;
        system.sleep_until_first(timers.iter().map(Resource::rep))?;
        let due = (0u32..).zip(&timers).filter(|(_, timer)| system.is_due(timer.rep()));
        Ok((due.map(|(at, _)| at).collect::<Vec<u32>>(),))
    })
}

/// Stdin is at its end.
fn input(instance: &mut Instance<'_>) -> Result<()> {
    for name in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        instance.func_wrap(name, |_: Store<'_>, (_, _): (Resource<InputStream>, u64)| {
            Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
        })?;
    }
    for name in ["[method]input-stream.skip", "[method]input-stream.blocking-skip"] {
        instance.func_wrap(name, |_: Store<'_>, (_, _): (Resource<InputStream>, u64)| {
            Ok((Err::<u64, _>(StreamError::Closed),))
        })?;
    }
    instance.func_wrap("[method]input-stream.subscribe", |mut store: Store<'_>, (_,): (Resource<InputStream>,)| {
        Ok((store.data_mut().system.timer_after::<Pollable>(0)?,))
    })
}

fn output(instance: &mut Instance<'_>) -> Result<()> {
    instance.func_wrap("[method]output-stream.check-write", |_: Store<'_>, (_,): (Resource<OutputStream>,)| {
        Ok((Ok::<u64, StreamError>(WRITTEN as u64),))
    })?;
    for name in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        instance.func_wrap(name, |mut store: Store<'_>, (stream, bytes): (Resource<OutputStream>, Vec<u8>)| {
            let output = if stream.rep() == STDOUT { Output::Stdout } else { Output::Stderr };
            store.data_mut().write(output, &bytes);
            Ok((Ok::<(), StreamError>(()),))
        })?;
    }
    for name in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        instance.func_wrap(name, |_: Store<'_>, (_,): (Resource<OutputStream>,)| Ok((Ok::<(), StreamError>(()),)))?;
    }
    instance.func_wrap("[method]output-stream.subscribe", |mut store: Store<'_>, (_,): (Resource<OutputStream>,)| {
        Ok((store.data_mut().system.timer_after::<Pollable>(0)?,))
    })
}

fn random(instance: &mut Instance<'_>, [bytes, number]: [&str; 2]) -> Result<()> {
    instance.func_wrap(bytes, |mut store: Store<'_>, (wanted,): (u64,)| {
        let Some(count) = usize::try_from(wanted).ok().filter(|count| *count <= RANDOM) else {
            return Err(Stopped::TooManyRandomBytes { wanted, most: RANDOM }.into());
        };
        let state = store.data_mut();
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| state.random().to_le_bytes()).collect();
        bytes.truncate(count);
        Ok((bytes,))
    })?;
    instance.func_wrap(number, |mut store: Store<'_>, (): ()| Ok((store.data_mut().random(),)))
}
