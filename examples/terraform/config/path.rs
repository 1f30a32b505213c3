//! Paths as people write them: `length`, `tags["a"].list[0]`. And what they lead to, made
//! unknown.

use crate::tfplugin::cty::DEPTH_LIMIT;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;

/// Why a path cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("{0:?} is no path; write length, or tags[\"a\"].list[0]")]
    Syntax(String),
    #[error("nothing is at {0}")]
    Nothing(Path),
}

/// Reads a path. A dot at the beginning is allowed, as messages have it.
pub fn parse(text: &str) -> Result<Path, PathError> {
    let wrong = || PathError::Syntax(text.to_owned());
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('.').unwrap_or(text);
    let mut is_name = true;
    loop {
        let step = if is_name {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let name;
            (name, rest) = rest.split_at(end);
            if name.is_empty() || name.contains([']', '"']) {
                return Err(wrong());
            }
            Step::Attribute(name.to_owned())
        } else {
            let step;
            (step, rest) = index(rest).ok_or_else(wrong)?;
            step
        };
        steps.push(step);
        if steps.len() > DEPTH_LIMIT {
            return Err(wrong());
        }
        if rest.is_empty() {
            return Ok(Path(steps));
        }
        let mut characters = rest.chars();
        is_name = match characters.next() {
            Some('.') => true,
            Some('[') => false,
            _ => return Err(wrong()),
        };
        rest = characters.as_str();
    }
}

/// What is in brackets, and what comes after them.
fn index(text: &str) -> Option<(Step, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    let step = match values.next()?.ok()? {
        serde_json::Value::String(key) => Step::Key(key),
        serde_json::Value::Number(index) => Step::Index(index.as_i64()?),
        _ => return None,
    };
    let rest = text.get(values.byte_offset()..)?;
    Some((step, rest.strip_prefix(']')?))
}

/// Makes unknown what the path leads to in a value of the type.
pub fn make_unknown(value: &mut Value, ty: &Type, path: &Path) -> Result<(), PathError> {
    if set(value, ty, &path.0) { Ok(()) } else { Err(PathError::Nothing(path.clone())) }
}

/// Whether there was such a place. As deep as the path.
fn set(value: &mut Value, ty: &Type, steps: &[Step]) -> bool {
    let Some((first, rest)) = steps.split_first() else {
        *value = Value::unknown();
        return true;
    };
    match (ty, value, first) {
        (Type::Object(attributes), Value::Mapping(values), Step::Attribute(name)) => {
            let Some(ty) = attributes.types.get(name) else { return false };
            set(values.entry(name.clone()).or_insert(Value::Null), ty, rest)
        }
        (Type::Map(ty), Value::Mapping(values), Step::Key(key) | Step::Attribute(key)) => {
            match values.get_mut(key) {
                Some(value) => set(value, ty, rest),
                None => false,
            }
        }
        (Type::List(ty), Value::Sequence(values), Step::Index(at)) => {
            element(values, *at).is_some_and(|value| set(value, ty, rest))
        }
        (Type::Tuple(types), Value::Sequence(values), Step::Index(at)) => {
            let ty = usize::try_from(*at).ok().and_then(|at| types.get(at));
            ty.zip(element(values, *at)).is_some_and(|(ty, value)| set(value, ty, rest))
        }
        (Type::Set(ty), container @ Value::Sequence(_), Step::Index(at)) => {
            let Value::Sequence(values) = container else { return false };
            let is_there = element(values, *at).is_some_and(|value| set(value, ty, rest));
            // Its place among the others is another now.
            *container = Value::set(std::mem::take(values));
            is_there
        }
        (Type::Dynamic, Value::Dynamic(typed), _) => set(&mut typed.value, &typed.ty, steps),
        _ => false,
    }
}

fn element(values: &mut [Value], at: i64) -> Option<&mut Value> {
    values.get_mut(usize::try_from(at).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_messages_show_it() {
        let path = parse("tags[\"a]b\"].list[0].x").unwrap();
        assert_eq!(path.to_string(), ".tags[\"a]b\"].list[0].x");
        assert_eq!(parse(&path.to_string()), Ok(path));
        assert_eq!(parse("length").unwrap().to_string(), ".length");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in ["", ".", "a.", "a..b", "a[", "a[]", "a[1", "a[1]b", "a[true]", "[0]", "a]"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(parse(&"a.".repeat(DEPTH_LIMIT + 1)).is_err());
    }

    #[test]
    fn what_it_leads_to_becomes_unknown() {
        let list = Type::list(Type::String);
        let ty = Type::object([("tags", Type::map(list.clone())), ("size", Type::Number)]);
        let tags: Value =
            [("a", Value::from_iter([Value::from("x"), Value::from("y")]))].into_iter().collect();
        let mut value: Value = [("tags", tags)].into_iter().collect();
        make_unknown(&mut value, &ty, &parse("size").unwrap()).unwrap();
        make_unknown(&mut value, &ty, &parse("tags[\"a\"][1]").unwrap()).unwrap();
        assert!(value.get("size").is_unknown());
        let list = value.get("tags").get("a").as_sequence().unwrap();
        assert_eq!((&list[0], list[1].is_unknown()), (&Value::from("x"), true));
        for nothing in ["nosuch", "tags[\"b\"]", "tags.a[2]", "tags.a[-1]", "size.x"] {
            let result = make_unknown(&mut value, &ty, &parse(nothing).unwrap());
            assert!(matches!(result, Err(PathError::Nothing(_))), "{nothing}");
        }
    }
}
