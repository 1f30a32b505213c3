//! What the user sees.

pub mod diagnostic;
pub mod diff;
pub mod json;
pub mod plan;
pub mod schema;
pub mod schema_json;
mod style;

pub use style::Style;
pub use style::name;
pub use style::printable;
pub use style::printable_json;
pub use style::quoted;
