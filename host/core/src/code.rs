//! The codes of all errors. The pages under `docs/errors/` are checked against this list.

use std::fmt;

/// The code of an error, `FF0001` and up. A code that has been released is never reused for another error.
///
/// FF00xx: modules and guests. FF01xx: definitions. FF02xx: runs. FF03xx: stores. FF04xx: configuration and commands.
/// FF05xx: signatures, tokens and routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u16);

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal;)*) => {
        impl Code {
            $(#[doc = $title] pub const $name: Code = Code($number);)*
            /// Every code, in ascending order.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];
            /// What happened, in a few words.
            pub const fn title(self) -> &'static str {
                match self.0 { $($number => $title,)* _ => "unknown" }
            }
        }
    };
}

codes! {
    NOT_A_COMPONENT = 1, "the file is not a WebAssembly component";
    WRONG_WORLD = 2, "the component is not a flow";
    WRONG_VERSION = 3, "the component was made for another version of the contract";
    UNKNOWN_IMPORT = 4, "the component imports something that the host does not offer";
    DEFINE_FAILED = 5, "the flow's `define` returned an error";
    GUEST_TRAPPED = 6, "the flow's code crashed";
    GUEST_OUT_OF_TIME = 7, "the flow's code exceeded its time limit";
    GUEST_OUT_OF_MEMORY = 8, "the flow's code exceeded its memory limit";
    GUEST_OUT_OF_STACK = 9, "the flow's code exceeded its stack";
    OUTPUT_TOO_LARGE = 10, "the flow's code returned too much data";
    COMPILE_FAILED = 11, "the component could not be compiled";
    GUEST_REJECTED = 12, "the flow's code rejected its data";
    GUEST_RETRIES = 13, "the flow's code asked for a retry, but none was left";
    MODULE_UNREADABLE = 14, "the module file cannot be read";
    MODULE_TOO_LARGE = 15, "the module is too large";
    BAD_HANDLER_ANSWER = 16, "a handler returned an invalid value";
    MODULE_MISSING = 17, "the module version of a run is missing";
    GUEST_POOL_FULL = 18, "too many flow instances run at once";
    COMPILE_TIMED_OUT = 19, "compiling the module took too long";
    VERSION_UNKNOWN = 20, "the flow has no such version";
    DIGEST_MISMATCH = 21, "the module does not match its digest";
    ACTIVATION_CONFLICT = 22, "someone else changed the active version";
    VERSION_REMOVED = 23, "the version was removed; push it with --again";
    MODULE_DAMAGED = 24, "a stored module is damaged";
    NO_CANARY = 25, "there is no canary";
    NOTHING_TO_ROLL_BACK = 26, "there is no version to roll back to";
    MODULES_FIXED = 27, "this host does not accept new versions";
    ACTIVE_MISSING = 28, "the active version cannot be loaded here";
    COMPILER_DIED = 29, "the compiler of the module crashed";
    MODULE_UNSIGNED = 30, "the module is not signed";
    BAD_MODULE_SIGNATURE = 31, "the module's signature is invalid";
    BAD_MODULE_KEY = 32, "a signing key cannot be used";
    CODE_TOO_LARGE = 33, "the module's machine code is too large";
    MODULE_TOO_COMPLEX = 34, "the module has too many memories or tables";

    EMPTY_DAG = 101, "a dag has no nodes";
    DUPLICATE_NODE = 102, "two nodes of a dag have the same id";
    DUPLICATE_EDGE = 103, "there are two edges between the same nodes";
    EDGE_TO_NOWHERE = 104, "an edge names a node that does not exist";
    CYCLE = 105, "a dag has a cycle";
    SEVERAL_STARTS = 106, "a dag has several starts";
    NESTED_TOO_DEEP = 107, "dags are nested too deeply";
    UNKNOWN_HANDLER = 108, "the definition names a handler that the flow does not declare";
    BAD_NODE_ID = 109, "a node id is malformed";
    DUPLICATE_BRANCH = 110, "two branches have the same key";
    NO_BRANCHES = 111, "a condition or for-each has no dag";
    DEFINITION_TOO_LARGE = 112, "the definition is too large";
    BAD_RETRY = 113, "a retry policy is out of range";
    BAD_TIMEOUT = 114, "a timeout or deadline is out of range";
    BAD_CALL = 115, "a call's target, method or header is malformed";
    BAD_HANDLER_ID = 116, "a handler id is malformed";
    AGGREGATOR_WITHOUT_NODE = 117, "an aggregator is given for a node that does not exist";
    BAD_BRANCH_KEY = 118, "a branch key is malformed";
    BAD_MAX_PARALLEL = 119, "max-parallel must be at least 1";
    PATH_LEAVES_FUNCTION = 120, "the path of a call leaves its function";
    TEXT_TOO_LONG = 121, "a name or text in the definition is too long";
    MORE_PROBLEMS = 122, "the definition has more problems than are listed";
    RECOVER_WITHOUT_NODE = 123, "a recover handler is given for a node that does not exist";
    BAD_TOLERANCE = 124, "the share of items that may fail is out of range";
    BAD_REPEAT = 128, "the rounds of a repeat are out of range";
    BAD_LIMIT = 132, "a limit is malformed or out of range";
    LIMITS_DIFFER = 133, "a limit is defined in two ways";
    BAD_SIGNAL = 134, "the name of a signal is malformed";
    BAD_SCHEDULE = 140, "a schedule is malformed";
    UNKNOWN_TIME_ZONE = 141, "a schedule names a time zone that does not exist";
    SCHEDULE_NEVER = 142, "a schedule never fires";

    UNKNOWN_BRANCH = 201, "a condition chose a branch that does not exist";
    NO_BRANCH_CHOSEN = 202, "a condition chose no branch";
    DUPLICATE_KEY = 203, "an item or branch key occurs twice";
    BODY_TOO_LARGE = 204, "the request body is too large";
    FUNCTION_MISSING = 205, "unknown function";
    CALL_TIMED_OUT = 206, "a call took too long";
    CALL_STATUS = 207, "a call was answered with an error status";
    CALL_UNREACHABLE = 208, "a call could not be made";
    NODE_TIMED_OUT = 209, "a node took too long";
    DEADLINE_PASSED = 210, "the run took longer than its deadline";
    RUN_STOPPED = 211, "the run was stopped";
    RUN_UNKNOWN = 212, "there is no such run";
    BAD_REQUEST_ID = 213, "the request id is malformed";
    FLOW_UNKNOWN = 214, "there is no such flow here";
    RUN_EXISTS = 215, "the request id belongs to another run";
    FUNCTION_FAILED = 216, "a program used as a function failed";
    BAD_REQUEST = 217, "the request is malformed";
    NODE_LOST = 218, "the replica that executed a node was lost";
    RESPONSE_TOO_LARGE = 219, "the response of a call is too large";
    OVERLOADED = 220, "too many runs in flight";
    TOO_MANY_ITEMS = 221, "a for-each yielded too many items";
    RUN_STATE = 222, "the state of the run does not allow this";
    REQUEST_TIMED_OUT = 223, "the request was not answered in time";
    TOO_MANY_REQUESTS = 224, "too many requests in flight";
    STARTING = 225, "the function is starting";
    REQUEST_TOO_SLOW = 226, "the request took too long to arrive";
    STOPPING = 227, "the replica is stopping";
    OUT_OF_MEMORY = 228, "the host is short of memory";
    CLOCKS_DISAGREE = 229, "the clocks of replicas disagree";
    BAD_MEDIA_TYPE = 230, "the flow named a malformed media type";
    BAD_RESPONSE = 231, "the flow set an answer that cannot be sent";
    BAD_MOMENT = 232, "a handler named a moment until which no node can sleep";
    REDIRECT = 240, "a redirect is not followed";
    BAD_ENCODING = 241, "an answer cannot be decoded";
    BAD_START = 242, "the start time of a run is malformed or too far away";
    BAD_LABEL = 243, "a label of a run is malformed";
    CALL_ACCEPTED = 250, "a function accepted a call, and will answer it later";
    CHILD_FAILED = 251, "a flow that was called did not succeed";
    FLOWS_TOO_DEEP = 252, "flows call each other too deeply";
    ANSWER_TIMED_OUT = 253, "an answer did not come in time";
    ENDLESS_REPEAT = 262, "a repeat did not end within its maximum number of rounds";
    SIGNAL_TIMED_OUT = 270, "a signal did not come in time";
    NEVER_AWAITED = 271, "the flow waits for no such signal";
    TOO_MANY_SIGNALS = 272, "too many signals came before a node waited for them";
    SIGNAL_URL_USED = 273, "the address of a signal was used before";
    SIGNAL_URL_EXPIRED = 274, "the address of a signal has expired";
    BAD_SIGNAL_NAME = 275, "a handler named a malformed signal";
    NO_PUBLIC_URL = 276, "the host does not know its public address";
    SCHEDULE_UNKNOWN = 280, "the flow has no such schedule";
    SCHEDULES_CONFLICT = 281, "others changed the schedules at the same moment";

    STORE_LOCKED = 301, "the store is locked by another process";
    STORE_READ_ONLY = 302, "the store cannot be written";
    STORE_FULL = 303, "the store is full";
    STORE_NEWER = 304, "the store was written by a newer version";
    STORE_CORRUPT = 305, "the store contains unreadable data";
    STORE_UNAVAILABLE = 306, "the store does not answer";
    DATA_MISSING = 307, "stored data is missing";
    BAD_STORE_URL = 308, "the store's address is malformed";
    STORE_NOT_FOUND = 309, "the store does not exist";
    CHANGE_TOO_LARGE = 310, "a change is too large for the store";
    STORE_DENIED = 311, "the store denies access";
    STORE_EVICTS = 312, "the store may evict keys";

    ADDRESS_IN_USE = 401, "the address to listen on is in use";
    BAD_FUNCTION_OPTION = 402, "a function option is malformed";
    UNKNOWN_CODE = 403, "unknown error code";
    INPUT_UNREADABLE = 404, "the input file cannot be read";
    DUPLICATE_FLOW = 405, "two flows have the same name";
    BAD_FLOW_NAME = 406, "a flow's name is malformed";
    TOOL_MISSING = 407, "a program that this command needs is missing or of the wrong version";
    BAD_ADDRESS = 408, "the address to listen on cannot be used";
    BAD_CONFIGURATION = 409, "a configuration value is missing or malformed";
    UNKNOWN_KEY = 410, "unknown configuration key";
    OUTPUT_UNWRITABLE = 411, "the output file cannot be written";
    NOT_CONFIRMED = 412, "the command was not confirmed";
    BAD_SCENARIO = 413, "a scenario file is malformed";
    SCENARIO_ENDLESS = 414, "the run of a scenario does not end";
    INTERNAL = 499, "internal error";

    UNSIGNED = 501, "the event or request is not signed";
    BAD_SIGNATURE = 502, "the signature is wrong";
    EVENT_TOO_OLD = 503, "the event is too old, or was signed in the future";
    BAD_EVENT = 504, "the event is malformed";
    BAD_SECRET = 505, "a secret is missing or cannot be used";
    TOKEN_NEEDED = 506, "the request needs a token";
    BAD_CALLBACK = 507, "the callback's address is malformed or not allowed";
    ROUTE_UNKNOWN = 508, "there is no such route";
    WRONG_METHOD = 509, "the route does not accept this method";
    READ_DENIED = 510, "the result or the state of a run needs a signed request";
    OLD_SIGNATURE = 511, "the event has a signature of an older release";
    DESTINATION_REFUSED = 512, "the configuration does not allow this destination";
    FOREIGN_HOST = 514, "the request is for another host name than the server's";
    FOREIGN_PAGE = 515, "the request comes from a page of another site";
    PAYLOADS_HIDDEN = 516, "inputs and outputs of nodes are not shown here";
    PAYLOAD_UNKNOWN = 517, "the node has no such input or output";
    RIGHT_MISSING = 518, "the token lacks a right";
    SIGN_IN_FAILED = 519, "signing in failed";
}

impl Code {
    /// Whether trying again a moment later may succeed: the store did not answer, or another process had locked it.
    pub const fn is_transient(self) -> bool {
        matches!(self, Code::STORE_UNAVAILABLE | Code::STORE_LOCKED)
    }

    /// Whether what a store did not do may succeed later, without a change of what is asked: once the store answers, or once
    /// an operator has made it writable, has freed some space, or has given access again.
    pub const fn may_pass_later(self) -> bool {
        self.is_transient() || matches!(self, Code::STORE_READ_ONLY | Code::STORE_FULL | Code::STORE_DENIED)
    }

    /// The number after `FF`.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Parses `FF0012`, `ff12` or `12`.
    pub fn parse(text: &str) -> Option<Code> {
        let digits = text.trim_start_matches(['f', 'F']);
        let number: u16 = digits.parse().ok()?;
        Code::ALL.iter().copied().find(|code| code.0 == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FF{:04}", self.0)
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(Code::parse(&text).unwrap_or(Code::INTERNAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_read_back() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for code in Code::ALL {
            assert_eq!(Code::parse(&code.to_string()), Some(*code));
            assert_ne!(code.title(), "unknown");
        }
        assert_eq!(Code::parse("12"), Some(Code::GUEST_REJECTED));
        assert_eq!(Code::parse("FF9999"), None);
        assert_eq!(Code::GUEST_REJECTED.number(), 12);
    }

    #[test]
    fn only_a_store_that_is_away_or_locked_is_transient() {
        let transient: Vec<Code> = Code::ALL.iter().copied().filter(|code| code.is_transient()).collect();
        assert_eq!(transient, [Code::STORE_LOCKED, Code::STORE_UNAVAILABLE]);
    }
}
