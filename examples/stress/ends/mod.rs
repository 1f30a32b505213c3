//! What both ends have: the service that they serve, the content that both know, the
//! ledger of what was executed, and the way to the other end.

pub mod echo;
mod end;
pub mod ledger;
mod payload;
mod pool;
mod service;
mod worker;

pub use end::End;
pub use payload::Source;
pub use payload::Sum;
pub use payload::Way;
pub use payload::mix;
pub use service::number;
pub use worker::Client;
pub use worker::Other;
pub use worker::Running;
pub use worker::SERVICE;
pub use worker::Worker;
pub use worker::client;
