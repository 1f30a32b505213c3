//! The generated messages of the trunk. Only `convert` may look.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::use_self,
    clippy::or_fun_call,
    reason = "generated from proto/trunkline/broker/v1/broker.proto"
)]

include!(concat!(env!("OUT_DIR"), "/trunkline.broker.v1.rs"));
