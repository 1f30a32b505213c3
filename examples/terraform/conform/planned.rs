//! Whether a plan gets from the prior state to the configuration: the provider may fill in
//! what it computes and the configuration leaves open, and may keep a prior value that means
//! the same as the configured one. Everything else is as configured.

use std::collections::BTreeMap;

use crate::conform::Problem;
use crate::conform::bare;
use crate::conform::is_sensitive;
use crate::conform::same;
use crate::conform::shown;
use crate::report::MOST_ENTRIES;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nested;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;

/// What is wrong with a plan. Neither it nor the configuration is null as a whole.
#[must_use]
pub fn broken_by_plan(
    block: &Block,
    prior: &Value,
    config: &Value,
    planned: &Value,
) -> Vec<Problem> {
    let mut check = Check { problems: Vec::new() };
    check.block(block, Three { prior, config, planned }, &Path::default());
    check.problems
}

struct Check {
    problems: Vec<Problem>,
}

/// The same place in three values.
#[derive(Clone, Copy)]
struct Three<'a> {
    prior: &'a Value,
    config: &'a Value,
    planned: &'a Value,
}

impl<'a> Three<'a> {
    fn get(self, name: &str) -> Self {
        let Self { prior, config, planned } = self;
        Self { prior: prior.get(name), config: config.get(name), planned: planned.get(name) }
    }

    fn bare(self) -> Self {
        let Self { prior, config, planned } = self;
        Self { prior: bare(prior), config: bare(config), planned: bare(planned) }
    }

    /// The elements of lists, if the two that matter are lists of one length.
    fn elements(self) -> Option<impl Iterator<Item = (Step, Self)>> {
        let (config, planned) = (self.config.as_sequence()?, self.planned.as_sequence()?);
        let prior = self.prior.as_sequence().unwrap_or_default();
        let prior = prior.iter().chain(std::iter::repeat(&Value::Null));
        let elements = config.iter().zip(planned).zip(prior).enumerate();
        let elements = elements.map(|(at, ((config, planned), prior))| {
            let index = i64::try_from(at).unwrap_or(i64::MAX);
            (Step::Index(index), Self { prior, config, planned })
        });
        (config.len() == planned.len()).then_some(elements)
    }

    /// How many there are in the configuration and in the plan.
    fn counts(self) -> (usize, usize) {
        let count = |value: &Value| match value {
            Value::Sequence(elements) => elements.len(),
            Value::Mapping(elements) => elements.len(),
            _ => 0,
        };
        (count(self.config), count(self.planned))
    }
}

const EMPTY: &BTreeMap<String, Value> = &BTreeMap::new();

impl Check {
    fn fail(&mut self, path: &Path, what: impl Into<String>) {
        // One more than a report takes, so that it says that there are more.
        if self.problems.len() <= MOST_ENTRIES {
            self.problems.push(Problem::new(path, what));
        }
    }

    /// Whether there is anything inside to compare.
    fn presence(&mut self, three: Three<'_>, path: &Path) -> bool {
        match (three.config.is_null(), three.planned.is_null()) {
            (false, true) => self.fail(path, "is planned to be absent, but is configured"),
            (true, false) => self.fail(path, "is planned, but is absent from the configuration"),
            (is_null, _) => return !is_null,
        }
        false
    }

    fn block(&mut self, block: &Block, three: Three<'_>, path: &Path) {
        if !self.presence(three, path) {
            return;
        }
        self.attributes(&block.attributes, three, path);
        for (name, nested) in &block.blocks {
            let path = path.join(Step::Attribute(name.clone()));
            self.nested_block(nested, three.get(name).bare(), &path);
        }
    }

    fn nested_block(&mut self, nested: &NestedBlock, three: Three<'_>, path: &Path) {
        if same(three.planned, three.config) {
            return;
        }
        if three.config.is_unknown() {
            return self.fail(path, "is planned, although it is not known how many there will be");
        }
        if three.planned.is_unknown() {
            return self.fail(path, "is a block and cannot be unknown: its attributes may be");
        }
        if matches!(nested.nesting, Nesting::Single | Nesting::Group) {
            return self.block(&nested.block, three, path);
        }
        if three.planned.is_null() {
            return self.fail(path, "must be empty to say that there are no blocks, not null");
        }
        match nested.nesting {
            Nesting::List => {
                let (configured, planned) = three.counts();
                let Some(elements) = three.elements() else {
                    return self.count_differs(path, configured, planned);
                };
                for (step, three) in elements {
                    self.element_block(&nested.block, three, &path.join(step));
                }
            }
            Nesting::Map => self.keyed(three, path, |check, three, path| {
                check.element_block(&nested.block, three, path);
            }),
            // Elements have no names to tell which is which: the provider is trusted.
            Nesting::Set | Nesting::Single | Nesting::Group => {
                let elements = three.planned.as_sequence().unwrap_or_default();
                if elements.iter().any(Value::is_unknown) {
                    self.fail(path, "has a block that is unknown: its attributes may be");
                }
            }
        }
    }

    fn element_block(&mut self, block: &Block, three: Three<'_>, path: &Path) {
        if three.planned.is_unknown() {
            return self.fail(path, "is a block and cannot be unknown: its attributes may be");
        }
        self.block(block, three, path);
    }

    fn count_differs(&mut self, path: &Path, configured: usize, planned: usize) {
        self.fail(path, format!("has {planned} elements in the plan, {configured} are configured"));
    }

    /// Compares what has the same key, and complains of keys that only one side has.
    fn keyed(
        &mut self,
        three: Three<'_>,
        path: &Path,
        mut each: impl FnMut(&mut Self, Three<'_>, &Path),
    ) {
        let planned = three.planned.as_mapping().unwrap_or(EMPTY);
        let config = three.config.as_mapping().unwrap_or(EMPTY);
        for (key, planned) in planned {
            let path = path.join(Step::Key(key.clone()));
            match config.get(key) {
                Some(config) => {
                    each(self, Three { prior: three.prior.get(key), config, planned }, &path)
                }
                None => self.fail(&path, "is planned, but is not configured"),
            }
        }
        for key in config.keys().filter(|key| !planned.contains_key(*key)) {
            self.fail(&path.join(Step::Key(key.clone())), "is configured, but is not planned");
        }
    }

    fn attributes(
        &mut self,
        attributes: &BTreeMap<String, Attribute>,
        three: Three<'_>,
        path: &Path,
    ) {
        for (name, attribute) in attributes {
            let path = path.join(Step::Attribute(name.clone()));
            self.attribute(attribute, three.get(name), &path);
        }
    }

    fn attribute(&mut self, attribute: &Attribute, three: Three<'_>, path: &Path) {
        let Three { prior, config, planned } = three;
        // The provider says that the two mean the same.
        let is_kept = planned == prior && !prior.is_null() && !config.is_null();
        let is_computed = attribute.computed && (config.is_null() || !attribute.optional);
        let is_write_only = attribute.write_only && planned.is_null();
        if same(planned, config) || is_kept || is_computed || is_write_only {
            return;
        }
        if !config.is_null()
            && let Some(nested) = &attribute.nested
        {
            return self.nested_attribute(nested, three, path);
        }
        if is_sensitive(attribute) {
            return self.fail(path, "is sensitive, and is not planned as configured");
        }
        let expected = match (config.is_null(), prior.is_null()) {
            (true, _) => "nothing is configured, and it is not computed".to_owned(),
            (false, true) => format!("configured is {}", shown(config)),
            (false, false) => format!("configured is {}, it was {}", shown(config), shown(prior)),
        };
        self.fail(path, format!("is planned as {}; {expected}", shown(planned)));
    }

    fn nested_attribute(&mut self, nested: &Nested, three: Three<'_>, path: &Path) {
        if !self.presence(three, path) {
            return;
        }
        if three.planned.is_unknown() {
            return self.fail(path, "is planned as unknown, although it is configured");
        }
        if three.config.is_unknown() && nested.nesting != Nesting::Set {
            return self.fail(path, "is planned, although its configuration is not known yet");
        }
        match nested.nesting {
            Nesting::Single | Nesting::Group => self.attributes(&nested.attributes, three, path),
            Nesting::Map => self.keyed(three, path, |check, three, path| {
                check.element_attributes(nested, three, path);
            }),
            Nesting::List => {
                let (configured, planned) = three.counts();
                let Some(elements) = three.elements() else {
                    return self.count_differs(path, configured, planned);
                };
                for (step, three) in elements {
                    self.element_attributes(nested, three, &path.join(step));
                }
            }
            // Elements have no names to tell which is which, and those that are unknown may
            // turn out to be one. Only a number that is certain is certainly wrong.
            Nesting::Set => {
                let (configured, planned) = three.counts();
                let is_certain = three.config.is_wholly_known();
                let most_agree = three.planned.is_wholly_known() || configured > planned;
                if is_certain && most_agree && configured != planned {
                    self.count_differs(path, configured, planned);
                }
            }
        }
    }

    fn element_attributes(&mut self, nested: &Nested, three: Three<'_>, path: &Path) {
        if same(three.planned, three.config) || !self.presence(three, path) {
            return;
        }
        if three.planned.is_unknown() || three.config.is_unknown() {
            return self.fail(path, "is known in one of plan and configuration only");
        }
        self.attributes(&nested.attributes, three, path);
    }
}
