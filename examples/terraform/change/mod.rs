//! From what is kept and what is configured to what is to be done, and to what came of it:
//! the order of calls that Terraform keeps to, and its checks of every answer.

mod apply;
mod plan;
mod refresh;

pub use apply::apply;
pub use plan::plan;
pub use plan::plan_destroy;
pub use refresh::refresh;
pub use refresh::restore;

use crate::provider::PlanAnswer;
use crate::resource::Object;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Value;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    NoOp,
    Create,
    Update,
    /// Destroy it, and then create another one.
    Replace(Reason),
    Delete,
}

/// Why something is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It cannot become what is configured.
    CannotUpdate,
    /// It was made, but not to the end.
    Tainted,
}

/// A plan.
#[derive(Debug)]
pub struct Change {
    pub action: Action,
    /// What is there.
    pub before: Option<Object>,
    pub config: Value,
    /// What will be there, and what the provider wants to have back.
    pub answer: PlanAnswer,
    /// What of it the change of which makes it another one.
    pub replace_paths: Vec<Path>,
}

impl Change {
    pub fn before_value(&self) -> &Value {
        self.before.as_ref().map_or(&Value::Null, |object| &object.value)
    }

    pub fn after(&self) -> &Value {
        &self.answer.planned
    }

    /// How many are added, changed and destroyed.
    pub fn counts(&self) -> [usize; 3] {
        self.action.counts()
    }
}

impl Action {
    /// How many are added, changed and destroyed.
    pub fn counts(self) -> [usize; 3] {
        match self {
            Self::NoOp => [0, 0, 0],
            Self::Create => [1, 0, 0],
            Self::Update => [0, 1, 0],
            Self::Replace(_) => [1, 0, 1],
            Self::Delete => [0, 0, 1],
        }
    }

    /// As plans in JSON call it.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::NoOp => &["no-op"],
            Self::Create => &["create"],
            Self::Update => &["update"],
            Self::Replace(_) => &["delete", "create"],
            Self::Delete => &["delete"],
        }
    }
}
