//! The closures of a flow, by handler id.

use crate::failed::{Failed, Gathered};
use crate::failure::{Failure, Result};
use crate::http::{Request, Response};
use crate::inputs::Inputs;
use crate::values::{Outcome, Wake};
use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) type Data = Vec<u8>;
pub(crate) type Modify = Rc<dyn Fn(Data) -> Result<Data>>;
pub(crate) type Aggregate = Rc<dyn Fn(Inputs) -> Result<Data>>;
pub(crate) type Choose = Rc<dyn Fn(Data) -> Result<Vec<String>>>;
pub(crate) type Split = Rc<dyn Fn(Data) -> Result<Vec<(String, Data)>>>;
pub(crate) type Prepare = Rc<dyn Fn(Request) -> Result<Request>>;
pub(crate) type Receive = Rc<dyn Fn(Response) -> Result<Data>>;
pub(crate) type Recover = Rc<dyn Fn(String) -> Result<Data>>;
pub(crate) type RecoverFrom = Rc<dyn Fn(Failed) -> Result<Data>>;
pub(crate) type Gather = Rc<dyn Fn(Vec<Gathered>) -> Result<Data>>;
pub(crate) type Moment = Rc<dyn Fn(Data) -> Result<Wake>>;
pub(crate) type Again = Rc<dyn Fn((Data, u32)) -> Result<bool>>;
pub(crate) type SignalName = Rc<dyn Fn(Data) -> Result<String>>;
pub(crate) type Key = Rc<dyn Fn(Data) -> Result<String>>;
pub(crate) type Finally = Rc<dyn Fn(Outcome) -> Result>;

#[derive(Clone)]
pub(crate) enum Handler {
    Modify(Modify),
    Aggregate(Aggregate),
    Condition(Choose),
    ForEach(Split),
    Forward(Modify),
    Prepare(Prepare),
    Receive(Receive),
    Recover(Recover),
    Finally(Finally),
    RecoverFrom(RecoverFrom),
    Gather(Gather),
    Moment(Moment),
    SignalName(SignalName),
    Again(Again),
    Key(Key),
}

impl Handler {
    fn kind(&self) -> &'static str {
        match self {
            Self::Modify(_) => "modify",
            Self::Aggregate(_) => "aggregate",
            Self::Condition(_) => "condition",
            Self::ForEach(_) => "for-each",
            Self::Forward(_) => "forward",
            Self::Prepare(_) => "prepare",
            Self::Receive(_) => "receive",
            Self::Recover(_) => "recover",
            Self::Finally(_) => "finally",
            Self::RecoverFrom(_) => "recover-from",
            Self::Gather(_) => "gather",
            Self::Moment(_) => "moment",
            Self::SignalName(_) => "signal-name",
            Self::Again(_) => "again",
            Self::Key(_) => "key",
        }
    }
}

/// All closures of a flow.
#[derive(Default)]
pub(crate) struct Handlers(pub(crate) BTreeMap<String, Handler>);

/// Makes one function per kind, which calls the closure with this id if it is of that kind.
macro_rules! call {
    ($($name:ident, $variant:ident, $word:literal: $input:ty => $output:ty;)*) => {
        impl Handlers {
            $(pub(crate) fn $name(&self, id: &str, input: $input) -> Result<$output> {
                match self.0.get(id) {
                    Some(Handler::$variant(run)) => run(input),
                    other => Err(no_such(id, $word, other)),
                }
            })*
        }
    };
}

call! {
    modify, Modify, "modify": Data => Data;
    aggregate, Aggregate, "aggregate": Inputs => Data;
    condition, Condition, "condition": Data => Vec<String>;
    for_each, ForEach, "for-each": Data => Vec<(String, Data)>;
    forward, Forward, "forward": Data => Data;
    prepare, Prepare, "prepare": Request => Request;
    receive, Receive, "receive": Response => Data;
    recover, Recover, "recover": String => Data;
    finally, Finally, "finally": Outcome => ();
    recover_from, RecoverFrom, "recover-from": Failed => Data;
    gather, Gather, "gather": Vec<Gathered> => Data;
    moment, Moment, "moment": Data => Wake;
    signal_name, SignalName, "signal-name": Data => String;
    again, Again, "again": (Data, u32) => bool;
    key, Key, "key": Data => String;
}

fn no_such(id: &str, wanted: &str, found: Option<&Handler>) -> Failure {
    Failure::Reject(match found {
        Some(other) => format!("handler `{id}` was called as `{wanted}`, but its kind is `{}`", other.kind()),
        None => format!("the flow has no handler `{id}`"),
    })
}
