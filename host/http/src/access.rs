//! Who asks, and what they may do: rights, the tokens that have them, and what each route needs.

mod actor;
mod caller;
mod fault;
mod needs;
mod right;
mod tokens;

pub use actor::Proxies;
pub(crate) use actor::{FROM, Head, REASON, USER, reason};
pub use caller::Admin;
pub(crate) use caller::{Caller, Entrance, now};
pub use fault::{Holder, RightMissing, TokenFault};
pub(crate) use needs::{Need, SEE, SEE_VERSIONS, is_change, need_of, need_of_page};
pub use right::{Right, Rights, UnknownRight};
pub use tokens::{ADMIN, NamedToken, TokenHash, Tokens, TokensFault, TokensFlaw, draw_token, parse_tokens};
