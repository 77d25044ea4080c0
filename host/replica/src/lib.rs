//! One replica: does what the sessions of its runs ask for.
//!
//! A run on a replica is a `live::Live`. Its session (`faas_flow_session`) decides everything and does no I/O; the driver
//! performs what the session asks for. The path of a run through these files:
//!
//! | file | what happens there |
//! |---|---|
//! | `submit` | a request begins a run |
//! | `open`, `sweep` | a stored run is opened, and recovered if its owner is gone |
//! | `forward` | another replica offers a ready node by an event |
//! | `control` | an operator pauses, resumes, stops or reruns a run |
//! | `drive` | an input goes to the session, its I/O is performed, and what is ready is started |
//! | `execute` | ready work is executed, one node after the other |
//! | `retries` | a node is attempted as often as its policy allows |
//! | `attempt` | one attempt: `inputs`, then the task (`call`, `branches`, or handlers), then `outputs` |
//! | `notes` | what has failed is stored while the node goes on |
//! | `commit_timer`, `durable` | what may be committed later is committed in time |
//! | `asked`, `answers` | a call whose answer comes later suspends its node, and the answer continues it |
//! | `signals` | a node waits for a signal, and somebody sends one |
//! | `limited`, `limits` | nodes and calls wait for permits of limits over all runs |
//! | `child` | flows that call flows |
//! | `audit` | what operators have asked for is recorded |
//! | `ended`, `wait`, `history`, `callback` | the end: waiting callers are notified, the history is written, callbacks are sent |
//!
//! The rest serves these: `host` and `drain` (the replica from its start to its end), `services` and `runs` (what all runs
//! share), `figures` (what Prometheus is told), `budget` (how many ended runs are kept), `looks` (what people see of runs, shared), `ids` (request ids that the host makes), `live` (what one run has), `data` (payloads in the stores), `writes` (whether the stores take them), `instances` and `context` (WebAssembly instances, and
//! what they see of their run), `trace`, `events`, `log`, and `completion` (work that must not be cut off), `watched` (values for which others wait).

mod answers;
mod apart;
mod asked;
mod attempt;
pub mod audit;
mod body_limit;
mod branches;
mod budget;
mod call;
mod callback;
pub(crate) mod child;
mod claims;
mod commit_timer;
mod completion;
mod context;
mod control;
pub mod counters;
mod data;
mod deadlines;
mod drain;
mod drive;
mod durable;
mod ended;
pub mod error;
pub mod events;
mod execute;
mod figures;
mod forward;
pub mod functions;
mod history;
mod host;
pub mod ids;
mod inputs;
mod instances;
mod kept;
mod limited;
pub(crate) mod limits;
mod live;
mod log;
mod looks;
mod memory;
pub mod network;
mod notes;
mod open;
mod operations;
mod outputs;
mod payloads;
pub mod program;
pub mod progress;
mod repeat;
mod retries;
mod runs;
pub mod schedules;
mod services;
pub mod settings;
mod signals;
mod skew;
mod sleep;
mod submit;
mod sweep;
mod trace;
pub mod traces;
mod wait;
mod watched;
mod writes;

pub use answers::{Answered, Reply, check_answer};
pub use body_limit::{BodyLimit, LimitedBy};
pub use child::{Begun, Calling, PARENT, UnreachedRun, WAITS, wait_text};
pub use counters::{AnswerEnd, Counters, Exposition, Ignored};
pub use ended::Ended;
pub use error::{Error, FunctionOptionFault};
pub use events::{Events, SIGNATURE_PARAMETER};
pub use forward::Forwarded;
pub use functions::{Function, Functions, ProgramAnswer};
pub use host::{Host, Parts};
pub use ids::Ids;
pub use limits::{NamedLimits, limits_set, set_limit};
pub use looks::{Enough, Look, Made, Shown};
pub use network::{ChosenBy, Destinations, Http, Network, RequestProxy};
pub use payloads::NodeData;
pub use program::{ProgramLines, end_programs, kill_programs};
pub use progress::{Progress, Step};
pub use settings::{Answers, CREDENTIAL_HEADERS, Dispatch, Settings};
pub use signals::{Signal, SignalAddress, Signalled};
pub use submit::{BODY_DIGEST, Submission, Submitted, Waits, keeps_header};
pub use traces::{TraceSettings, Traces};
