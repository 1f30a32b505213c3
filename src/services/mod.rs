//! What hosts offer to plugins out of the box, contract and both ends: a log
//! and a state store.
//!
//! | | host's end | plugin's end |
//! |---|---|---|
//! | [`log`] | [`LogService`](log::LogService), a [`LogSink`](log::LogSink) | [`Log`](log::Log) |
//! | [`state`] | [`StateService`](state::StateService), a [`Store`](state::Store) | [`State`](state::State) |
//!
//! The host's ends are tower services with a gRPC name, so whatever serves gRPC
//! can serve them. The plugin's ends run over any [`Channel`]: a sub-channel of
//! the trunk, tonic's own channel, or, in a test, the host's end itself.

pub mod log;
pub mod state;

mod channel;
mod wire;

pub use channel::Channel;
