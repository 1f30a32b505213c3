//! Planning.

use crate::change::Action;
use crate::change::Change;
use crate::change::Reason;
use crate::conform;
use crate::proposed::proposed_new;
use crate::provider::PlanAnswer;
use crate::provider::PlanQuestion;
use crate::provider::Provider;
use crate::report::Failed;
use crate::report::Report;
use crate::resource::Object;
use crate::resource::Resource;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;

/// What gets a resource from what is there to what is configured.
pub async fn plan(
    provider: &Provider,
    resource: &Resource,
    before: Option<Object>,
    config: Value,
    allow_deferral: bool,
    report: &mut Report,
) -> Result<Change, Failed> {
    provider.validate_resource(resource, &config, report).await?;
    let tainted = before.as_ref().is_some_and(|object| object.is_tainted);
    // What is tainted is planned as if it were not there, and then replaced.
    let prior = before.as_ref().filter(|_| !tainted);
    let prior_value = prior.map_or(&Value::Null, |object| &object.value);
    let question = PlanQuestion {
        prior: prior_value,
        proposed: &proposed_new(resource.block(), prior_value, &config),
        config: &config,
        private: prior.map_or(&[], |object| &object.private),
        identity: prior.and_then(|object| object.identity.as_ref()),
        allow_deferral,
    };
    let mut answer = provider.plan(resource, question, report).await?;
    check(resource, question, &answer, report)?;
    let mut replace_paths = replaced(resource, prior_value, &answer, report)?;
    let action = match prior {
        None if tainted => Action::Replace(Reason::Tainted),
        None => Action::Create,
        Some(_) if !replace_paths.is_empty() => Action::Replace(Reason::CannotUpdate),
        Some(_) if answer.planned == *prior_value => Action::NoOp,
        Some(_) => Action::Update,
    };
    if action == Action::Replace(Reason::CannotUpdate) {
        // The new one starts from nothing: what is computed is computed anew.
        let question = PlanQuestion {
            prior: &Value::Null,
            proposed: &proposed_new(resource.block(), &Value::Null, &config),
            private: &answer.private.clone(),
            identity: None,
            ..question
        };
        // Warnings were said before.
        let mut again = Report::default();
        let replanned = provider.plan(resource, question, &mut again).await;
        let checked = replanned.and_then(|answer| {
            check(resource, question, &answer, &mut again)?;
            Ok(answer)
        });
        answer = checked.inspect_err(|Failed| report.extend(again))?;
    }
    replace_paths.sort_unstable();
    Ok(Change { action, before, config, answer, replace_paths })
}

/// What destroys a resource. A provider that does not want to be asked is not.
pub async fn plan_destroy(
    provider: &Provider,
    resource: &Resource,
    before: Object,
    asks: bool,
    allow_deferral: bool,
    report: &mut Report,
) -> Result<Change, Failed> {
    let answer = if asks {
        let question = PlanQuestion {
            prior: &before.value,
            proposed: &Value::Null,
            config: &Value::Null,
            private: &before.private,
            identity: before.identity.as_ref(),
            allow_deferral,
        };
        let answer = provider.plan(resource, question, report).await?;
        if !answer.planned.is_null() {
            let detail = format!(
                "The provider has planned something for {} to be after it was destroyed. {}",
                resource.address, BUG
            );
            return Err(report.fail(&resource.address, "Provider produced invalid plan", detail));
        }
        answer
    } else {
        PlanAnswer {
            planned: Value::Null,
            requires_replace: Vec::new(),
            private: before.private.clone().into(),
            identity: before.identity.clone(),
            is_legacy: false,
            deferred: None,
        }
    };
    Ok(Change {
        action: Action::Delete,
        before: Some(before),
        config: Value::Null,
        answer,
        replace_paths: Vec::new(),
    })
}

const BUG: &str = "That is a bug in the provider, to be reported to its authors.";

/// Whether the plan keeps to the rules.
fn check(
    resource: &Resource,
    question: PlanQuestion<'_>,
    answer: &PlanAnswer,
    report: &mut Report,
) -> Result<(), Failed> {
    // What is put off is not planned to the end.
    if answer.deferred.is_some() {
        return Ok(());
    }
    let PlanQuestion { prior, config, .. } = question;
    let problems = conform::broken_by_plan(resource.block(), prior, config, &answer.planned);
    if answer.is_legacy {
        for problem in problems {
            tracing::info!(%problem, "the plan breaks a rule that is newer than the provider");
        }
        return Ok(());
    }
    let mut result = Ok(());
    for problem in problems {
        let detail = format!("The plan for {}: {problem}. {BUG}", resource.address);
        result = Err(report.fail(&resource.address, "Provider produced invalid plan", detail));
    }
    result
}

/// Of what the provider says cannot change in place, what does change.
fn replaced(
    resource: &Resource,
    prior: &Value,
    answer: &PlanAnswer,
    report: &mut Report,
) -> Result<Vec<Path>, Failed> {
    let mut paths = Vec::new();
    if prior.is_null() {
        return Ok(paths);
    }
    for path in &answer.requires_replace {
        let (before, after) = (prior.at(path), answer.planned.at(path));
        if before.is_none() && after.is_none() {
            let detail = format!(
                "The provider says that {}{path} requires replacement, and there is no such \
                 thing. {BUG}",
                resource.address
            );
            let summary = "Provider produced invalid plan";
            return Err(report.fail(&resource.address, summary, detail));
        }
        let changes = before.unwrap_or(&Value::Null) != after.unwrap_or(&Value::Null);
        // Write-only attributes are never kept, so that their change cannot show.
        let is_write_only =
            attribute_at(resource.block(), path).is_some_and(|attribute| attribute.write_only);
        if changes || is_write_only {
            paths.push(path.clone());
        }
    }
    Ok(paths)
}

/// The attribute that a path leads to, or into.
fn attribute_at<'a>(block: &'a Block, path: &Path) -> Option<&'a Attribute> {
    let mut names = path.0.iter().filter_map(|step| match step {
        Step::Attribute(name) => Some(name),
        _ => None,
    });
    let mut block = block;
    let mut attribute = loop {
        let name = names.next()?;
        match (block.blocks.get(name), block.attributes.get(name)) {
            (Some(nested), _) => block = &nested.block,
            (None, attribute) => break attribute?,
        }
    };
    for name in names {
        let Some(nested) = &attribute.nested else { break };
        attribute = nested.attributes.get(name)?;
    }
    Some(attribute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ResourceName;
    use crate::testing::block;
    use crate::testing::blocks;
    use crate::testing::list;
    use crate::testing::object;
    use crate::testing::optional;
    use crate::testing::text;
    use crate::testing::write_only;
    use crate::tfplugin::cty::Type;
    use crate::tfplugin::schema::Nesting;
    use crate::tfplugin::schema::Schema;

    fn resource() -> Resource {
        let disk = block([("size", optional(Type::String)), ("key", write_only(Type::String))], []);
        let block = block(
            [("a", optional(Type::String)), ("b", optional(Type::String))],
            [("disk", blocks(Nesting::List, disk))],
        );
        let name: ResourceName = "x.y".parse().unwrap();
        Resource::new(&name, "x.y".to_owned(), Schema { version: 0, block }, None, false)
    }

    fn value(a: Value, size: &str) -> Value {
        let disk = object([("size", text(size)), ("key", Value::Null)]);
        object([("a", a), ("b", text("same")), ("disk", list([disk]))])
    }

    fn replaced_of(planned: Value, paths: &[&[Step]]) -> Result<Vec<String>, Failed> {
        let answer = PlanAnswer {
            planned,
            requires_replace: paths.iter().map(|steps| Path(steps.to_vec())).collect(),
            private: Default::default(),
            identity: None,
            is_legacy: false,
            deferred: None,
        };
        let prior = value(text("1"), "s");
        let found = replaced(&resource(), &prior, &answer, &mut Report::default())?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    fn name(name: &str) -> Step {
        Step::Attribute(name.to_owned())
    }

    #[test]
    fn what_does_not_change_forces_nothing() {
        let paths: [&[Step]; 2] = [&[name("a")], &[name("b")]];
        let changed = replaced_of(value(text("2"), "s"), &paths);
        assert_eq!(changed, Ok(vec![".a".to_owned()]));
        assert_eq!(replaced_of(value(text("1"), "s"), &paths), Ok(Vec::new()));
        let open = replaced_of(value(Value::unknown(), "s"), &paths);
        assert_eq!(open, Ok(vec![".a".to_owned()]));
    }

    #[test]
    fn what_is_write_only_forces_though_no_change_shows() {
        let key: &[Step] = &[name("disk"), Step::Index(0), name("key")];
        let size: &[Step] = &[name("disk"), Step::Index(0), name("size")];
        let found = replaced_of(value(text("1"), "s"), &[key, size]);
        assert_eq!(found, Ok(vec![".disk[0].key".to_owned()]));
    }

    #[test]
    fn what_is_in_one_of_the_two_only_has_changed() {
        let second: &[Step] = &[name("disk"), Step::Index(1)];
        let mut planned = value(text("1"), "s");
        if let Value::Mapping(fields) = &mut planned {
            let disk = object([("size", text("t")), ("key", Value::Null)]);
            let disks = fields.get("disk").and_then(Value::as_sequence).unwrap().to_vec();
            fields.insert("disk".to_owned(), disks.into_iter().chain([disk]).collect());
        }
        assert_eq!(replaced_of(planned, &[second]), Ok(vec![".disk[1]".to_owned()]));
        assert_eq!(replaced_of(value(text("1"), "s"), &[second]), Err(Failed));
    }
}
