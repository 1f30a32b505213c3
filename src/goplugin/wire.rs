//! The messages and services that go-plugin has on the wire.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    dead_code,
    clippy::all,
    clippy::use_self,
    clippy::or_fun_call,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated from proto/goplugin/plugin.proto"
)]

include!(concat!(env!("OUT_DIR"), "/plugin.rs"));
