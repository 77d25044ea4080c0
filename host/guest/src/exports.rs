//! What modules export: the functions of the contract, found by their names once per module.
//!
//! The names have the version of the contract for which a module was built. Functions that every version has are the same in
//! all of them; interfaces that a later version has added are optional, since modules of earlier versions lack them.

use crate::Failed;
use crate::bindings::faas_flow::flow::builder::Workflow;
use crate::bindings::faas_flow::flow::types;
use crate::guests::contract;
use crate::state::State;
use crate::wasi::CLOCK;
use faas_flow_core::run::FailureKind;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower, Resource, TypedFunc, types as item,
};
use wasmtime::{Result, Store, format_err};

/// What handlers return: data, or the failure.
pub(crate) type Answered<T> = (std::result::Result<T, types::Failure>,);
/// What `define` returns.
pub(crate) type Described = (std::result::Result<(), String>,);
/// What a `recover-from` handler gets.
pub(crate) type Recovering<'a> = (&'a str, &'a types::Failed, &'a [u8], Option<&'a [u8]>);
pub(crate) type Bytes = Vec<u8>;
pub(crate) type Named = Vec<(String, Bytes)>;

/// One exported function.
#[derive(Clone, Copy)]
pub(crate) struct Export(ComponentExportIndex);

impl Export {
    /// The function in an instance. Its type was checked when it was found.
    pub(crate) fn of<P, R>(&self, instance: &Instance, store: &mut Store<State>) -> Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        instance.get_typed_func(store, self.0)
    }
}

/// The functions that a module exports.
pub(crate) struct Exports {
    pub(crate) define: Export,
    pub(crate) modify: Export,
    pub(crate) aggregate: Export,
    pub(crate) condition: Export,
    pub(crate) for_each: Export,
    pub(crate) forward: Export,
    pub(crate) prepare: Export,
    pub(crate) receive: Export,
    pub(crate) recover: Export,
    pub(crate) finally: Export,
    /// Of `recovery`, since 0.2.0.
    pub(crate) recover_from: Option<Export>,
    /// Of `gathering`, since 0.2.0.
    pub(crate) gather: Option<Export>,
    /// Of `timing`, since 0.2.0.
    pub(crate) moment: Option<Export>,
    /// Of `repeating`, since 0.2.0.
    pub(crate) again: Option<Export>,
    /// Of `signalling`, since 0.2.0.
    pub(crate) signal_name: Option<Export>,
    /// Of `limiting`, since 0.2.0.
    pub(crate) key: Option<Export>,
    /// Of the adapter for WASI preview 1: sets its clock.
    pub(crate) set_clock: Option<Export>,
}

impl Exports {
    /// Finds the functions, and compares their types with those of the contract. `names` are those of the exported
    /// interfaces.
    pub(crate) fn find(pre: &InstancePre<State>, names: &[String]) -> Result<Self> {
        let interface = |name| Interface::find(pre, names, name);
        let (definition, handlers) = (interface("definition"), interface("handlers"));
        Ok(Self {
            define: definition.needs::<(Resource<Workflow>,), Described>("define")?,
            modify: handlers.needs::<(&str, &[u8]), Answered<Bytes>>("modify")?,
            aggregate: handlers.needs::<(&str, &[(String, Bytes)]), Answered<Bytes>>("aggregate")?,
            condition: handlers.needs::<(&str, &[u8]), Answered<Vec<String>>>("condition")?,
            for_each: handlers.needs::<(&str, &[u8]), Answered<Named>>("for-each")?,
            forward: handlers.needs::<(&str, &[u8]), Answered<Bytes>>("forward")?,
            prepare: handlers.needs::<(&str, &types::HttpRequest), Answered<types::HttpRequest>>("prepare")?,
            receive: handlers.needs::<(&str, &types::HttpResponse), Answered<Bytes>>("receive")?,
            recover: handlers.needs::<(&str, &str), Answered<Bytes>>("recover")?,
            finally: handlers.needs::<(&str, types::Outcome), Answered<()>>("finally")?,
            recover_from: interface("recovery").may_have::<Recovering<'_>, Answered<Bytes>>("recover-from")?,
            gather: interface("gathering").may_have::<(&str, &[types::Gathered]), Answered<Bytes>>("gather")?,
            moment: interface("timing").may_have::<(&str, &[u8]), Answered<types::Wake>>("moment")?,
            again: interface("repeating").may_have::<(&str, &[u8], u32), Answered<bool>>("again")?,
            signal_name: interface("signalling").may_have::<(&str, &[u8]), Answered<String>>("signal-name")?,
            set_clock: Interface::of_adapter(pre).may_have::<(u64,), ()>("begin")?,
            key: interface("limiting").may_have::<(&str, &[u8]), Answered<String>>("key")?,
        })
    }
}

/// An interface of the contract, which the module may export.
struct Interface<'a> {
    pre: &'a InstancePre<State>,
    name: &'static str,
    index: Option<ComponentExportIndex>,
}

impl<'a> Interface<'a> {
    fn find(pre: &'a InstancePre<State>, names: &[String], name: &'static str) -> Self {
        let is_it = |full: &&String| contract(full).is_some_and(|(interface, _)| interface == name);
        let index = names.iter().find(is_it).and_then(|full| pre.component().get_export_index(None, full));
        Self { pre, name, index }
    }

    /// The one by which the host sets the clock of the adapter for WASI preview 1.
    fn of_adapter(pre: &'a InstancePre<State>) -> Self {
        Self { pre, name: CLOCK, index: pre.component().get_export_index(None, CLOCK) }
    }

    /// A function that the interface must have.
    fn needs<P, R>(&self, function: &str) -> Result<Export>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        self.may_have::<P, R>(function)?.ok_or_else(|| format_err!("`{}` is not exported", self.name))
    }

    /// A function that the interface must have, if the module exports the interface.
    fn may_have<P, R>(&self, function: &str) -> Result<Option<Export>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let Some(interface) = &self.index else { return Ok(None) };
        let place = || format!("`{}` of `{}`", function, self.name);
        let Some((found, index)) = self.pre.component().get_export(Some(interface), function) else {
            return Err(format_err!("{} is missing", place()));
        };
        let item::ComponentItem::ComponentFunc(function) = found else {
            return Err(format_err!("{} is not a function", place()));
        };
        function.typecheck::<P, R>(&self.pre.instance_type()).map_err(|error| error.context(place()))?;
        Ok(Some(Export(index)))
    }
}

/// What has failed, in the words of the contract.
pub(crate) fn failed(Failed { failure, status }: &Failed) -> types::Failed {
    types::Failed {
        code: failure.code.to_string(),
        kind: match FailureKind::of(failure.code) {
            FailureKind::Rejected => types::FailureKind::Rejected,
            FailureKind::Answered => types::FailureKind::Answered,
            FailureKind::Unreachable => types::FailureKind::Unreachable,
            FailureKind::TimedOut => types::FailureKind::TimedOut,
            FailureKind::Crashed => types::FailureKind::Crashed,
            FailureKind::Child => types::FailureKind::Child,
            FailureKind::Other => types::FailureKind::Other,
        },
        status: *status,
        message: failure.message.clone(),
        path: failure.path.as_ref().map(ToString::to_string).unwrap_or_default(),
        tries: failure.exhausted.map_or(1, |spent| spent.tries),
    }
}
