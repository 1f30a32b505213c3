//! The calls that are made: what there is, what each is going to do, and how it is
//! done. A plugin that calls back uses the same code as the host.

mod callbacks;
mod channels;
mod job;
mod kind;
mod plan;
mod shapes;

pub use job::Failure;
pub use job::Job;
pub use kind::Direction;
pub use kind::Kind;
pub use plan::Cut;
pub use plan::Plan;
pub use plan::Route;
pub use plan::Service;
pub use plan::Shape;
