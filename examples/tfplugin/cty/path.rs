//! Where in a value something is.

use std::fmt;

use super::text::Name;
use super::value::Value;

/// Leads from a whole value to one inside it. Empty: the whole value.
///
/// Printed as an expression would continue: `.tags["a"].list[0]`. Safe for terminals, whatever
/// the names in it are.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into an object.
    Attribute(String),
    /// Into a map.
    Key(String),
    /// Into a list or a tuple, counted from 0.
    Index(i64),
    /// Into a set, whose elements have no names: by the element itself.
    Element(Value),
}

impl Path {
    /// The path of what is inside of this one.
    #[must_use]
    pub fn join(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl FromIterator<Step> for Path {
    fn from_iter<T: IntoIterator<Item = Step>>(steps: T) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| step.fmt(f))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => write!(f, ".{}", Name(name)),
            Self::Key(key) => write!(f, "[{key:?}]"),
            Self::Index(index) => write!(f, "[{index}]"),
            // The element may hold what is not to be shown.
            Self::Element(_) => write!(f, "[...]"),
        }
    }
}
