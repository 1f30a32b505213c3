//! Which versions of a provider will do: Terraform's language of constraints.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use semver::Version;

/// Constraints with commas between, of which all hold: `>= 3.1, < 4.0`, `~> 3.5`, `!= 3.6.0`,
/// or a version alone, which means exactly that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraints(Vec<Constraint>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Constraint {
    relation: Relation,
    bound: Version,
    /// How many of the three numbers were written.
    written: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    /// `~>`: the last number that is written may grow.
    Close,
}

/// Longer operators first: `>` also begins `>=`.
const OPERATORS: [(&str, Relation); 7] = [
    ("~>", Relation::Close),
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("!=", Relation::NotEqual),
    ("=", Relation::Equal),
    (">", Relation::Greater),
    ("<", Relation::Less),
];

/// Why a text is no constraint.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no version constraint; write \"~> 3.5\", \">= 3.1, < 4.0\" or \"3.6.0\"")]
pub struct ConstraintError {
    text: String,
    source: semver::Error,
}

impl Constraints {
    /// Whether a version will do. One that is a pre-release has to be asked for exactly.
    pub fn match_version(&self, version: &Version) -> bool {
        let is_asked_for = |constraint: &Constraint| {
            constraint.relation == Relation::Equal && constraint.bound == *version
        };
        let is_release = version.pre.is_empty();
        self.0.iter().all(|constraint| constraint.holds(version))
            && (is_release || self.0.iter().any(is_asked_for))
    }
}

impl Constraint {
    fn holds(&self, version: &Version) -> bool {
        // Two builds of a version are the same version.
        let order = version.cmp_precedence(&self.bound);
        match self.relation {
            Relation::Equal => order == Ordering::Equal,
            Relation::NotEqual => order != Ordering::Equal,
            Relation::Less => order == Ordering::Less,
            Relation::AtMost => order != Ordering::Greater,
            Relation::Greater => order == Ordering::Greater,
            Relation::AtLeast => order != Ordering::Less,
            Relation::Close => order != Ordering::Less && self.is_close(version),
        }
    }

    fn is_close(&self, version: &Version) -> bool {
        let same_major = version.major == self.bound.major;
        same_major && (self.written < 3 || version.minor == self.bound.minor)
    }
}

impl FromStr for Constraints {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let text = text.trim();
        let found = OPERATORS.iter().find_map(|(operator, relation)| {
            text.strip_prefix(operator).map(|bound| (*relation, bound))
        });
        let (relation, bound) = found.unwrap_or((Relation::Equal, text));
        let bound = bound.trim();
        let bound = bound.strip_prefix('v').unwrap_or(bound);
        let numbers = bound.split(['-', '+']).next().unwrap_or_default();
        let written = numbers.split('.').count();
        let (_, suffix) = bound.split_at(numbers.len());
        let missing = ".0".repeat(3_usize.saturating_sub(written));
        match Version::parse(&format!("{numbers}{missing}{suffix}")) {
            Ok(bound) => Ok(Self { relation, bound, written }),
            Err(source) => Err(ConstraintError { text: text.to_owned(), source }),
        }
    }
}

impl fmt::Display for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, constraint) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let operator = OPERATORS.iter().find(|(_, named)| *named == constraint.relation);
            let operator = operator.map_or("", |(operator, _)| operator);
            write!(f, "{comma}{operator} {}", constraint.bound)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(constraints: &str, versions: &[&str]) -> Vec<String> {
        let constraints: Constraints = constraints.parse().unwrap();
        let versions = versions.iter().map(|version| Version::parse(version).unwrap());
        let found = versions.filter(|version| constraints.match_version(version));
        found.map(|version| version.to_string()).collect()
    }

    const VERSIONS: [&str; 7] =
        ["2.9.0", "3.1.0", "3.5.1", "3.5.9", "3.6.0", "4.0.0", "4.1.0-beta1"];

    #[test]
    fn a_version_alone_is_exactly_that_one() {
        assert_eq!(matching("3.1.0", &VERSIONS), ["3.1.0"]);
        assert_eq!(matching("v3.1", &VERSIONS), ["3.1.0"]);
        assert_eq!(matching("= 3.6.0", &VERSIONS), ["3.6.0"]);
    }

    #[test]
    fn the_last_number_after_a_tilde_may_grow() {
        assert_eq!(matching("~> 3.5", &VERSIONS), ["3.5.1", "3.5.9", "3.6.0"]);
        assert_eq!(matching("~> 3.5.2", &VERSIONS), ["3.5.9"]);
    }

    #[test]
    fn all_constraints_hold() {
        assert_eq!(matching(">= 3.1, < 4.0, != 3.5.1", &VERSIONS), ["3.1.0", "3.5.9", "3.6.0"]);
        assert_eq!(matching(">3.6", &VERSIONS), ["4.0.0"]);
        assert_eq!(matching("<= 2.9", &VERSIONS), ["2.9.0"]);
    }

    #[test]
    fn a_pre_release_has_to_be_asked_for() {
        assert_eq!(matching(">= 4.0", &VERSIONS), ["4.0.0"]);
        assert_eq!(matching("4.1.0-beta1", &VERSIONS), ["4.1.0-beta1"]);
    }

    #[test]
    fn what_is_no_constraint_is_refused() {
        for wrong in ["", "latest", "~> 3.x", "=> 3.1", ">= 1,", "1.2.3.4"] {
            assert!(wrong.parse::<Constraints>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn constraints_are_shown_as_they_are_written() {
        let constraints: Constraints = "~>3.5,!=3.6.0".parse().unwrap();
        assert_eq!(constraints.to_string(), "~> 3.5.0, != 3.6.0");
    }
}
