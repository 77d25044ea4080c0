//! The pure engine of faas-flow: what a flow is, whether it is valid, and how the state of a run changes.
//!
//! Nothing here reads a clock, draws a random number or does IO: all of that comes in as arguments and events.

mod code;
pub mod definition;
mod duration;
mod failure;
mod function_path;
mod header_text;
mod id;
mod labels;
pub mod limit;
mod media_type;
mod past;
mod payload;
mod plan;
pub mod redact;
mod response_head;
mod retry;
pub mod run;
pub mod schedule;
mod secret;
mod start_at;
mod status;
mod suggest;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
mod validate;
mod wake;

pub use code::Code;
pub use definition::Definition;
pub use duration::{ShownDuration, parse_duration};
pub use failure::{Failure, PolicyOf, Spent};
pub use function_path::{is_function_name, leaves_function, split_target};
pub use header_text::{header_bytes, header_text, readable_header};
pub use id::{
    BranchKey, Digest, FlowName, HandlerId, Malformed, NameKind, NodeId, NodePath, Partition, RunId, ScopePath,
    ScopeStep, SignalName,
};
pub use labels::{BadLabel, Labels, MAX_LABELS};
pub use media_type::{BadMediaType, MediaType};
pub use past::past_moment;
pub use payload::{Content, Payload, Place};
pub use plan::{
    Plan, PlanBranches, PlanCarries, PlanDag, PlanInput, PlanKind, PlanNode, PlanRepeat, round_key, round_of,
};
pub use response_head::{BadResponseHead, ResponseHead, reject_status};
pub use retry::{Delays, RetryPolicy};
pub use secret::{SecretFlaw, secret_of};
pub use start_at::{BadStart, start_at};
pub use status::{Millis, Status, moment};
pub use suggest::nearest;
pub use validate::{MAX_DEPTH, Problem, Warning};
pub use wake::{BadMoment, LONGEST_SLEEP_MS, Wake, parse_moment};
