//! The generated code of the services' messages, clients and servers: private
//! to this floor, and behind its own types.

/// Messages, client and server of `trunkline.log.v1`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::use_self,
    clippy::or_fun_call,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(super) mod log {
    include!(concat!(env!("OUT_DIR"), "/trunkline.log.v1.rs"));
}

/// Messages, client and server of `trunkline.state.v1`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::use_self,
    clippy::or_fun_call,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub(super) mod state {
    include!(concat!(env!("OUT_DIR"), "/trunkline.state.v1.rs"));
}
