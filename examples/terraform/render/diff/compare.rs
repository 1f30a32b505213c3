//! Compares values as their schema says.

use crate::render::diff::Diff;
use crate::render::diff::Kind;
use crate::render::diff::Mark;
use crate::render::diff::Side;
use crate::render::diff::collections;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nested;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;

/// Compares a resource before and after. Null is one that is not there.
pub fn compare(block: &Block, before: &Value, after: &Value, replace_paths: &[Path]) -> Diff {
    let compare = Compare { replace_paths };
    compare.block(block, present(before), present(after), &Path::default())
}

/// A value that is what it is.
pub fn unchanged(ty: &Type, value: &Value) -> Diff {
    Compare { replace_paths: &[] }.value(ty, Some(value), Some(value), &Path::default())
}

/// Whether all of it is as it was.
pub fn is_same(block: &Block, before: &Value, after: &Value) -> bool {
    compare(block, before, after, &[]).mark == Mark::Same
}

struct Compare<'a> {
    replace_paths: &'a [Path],
}

/// An attribute that is null is absent.
fn present(value: &Value) -> Side<'_> {
    (!value.is_null()).then_some(value)
}

fn child<'a>(side: Side<'a>, name: &str) -> Side<'a> {
    side.and_then(|value| present(bare(value).get(name)))
}

fn bare(value: &Value) -> &Value {
    match value {
        Value::Dynamic(typed) => &typed.value,
        other => other,
    }
}

impl Compare<'_> {
    fn diff(&self, mark: Mark, path: &Path, kind: Kind) -> Diff {
        Diff { mark, forces: self.replace_paths.contains(path), kind }
    }

    fn unknown(&self, before: Option<Diff>, path: &Path) -> Diff {
        let mark = if before.is_some() { Mark::Update } else { Mark::Create };
        self.diff(mark, path, Kind::Unknown { before: before.map(Box::new) })
    }

    fn block(&self, block: &Block, before: Side<'_>, after: Side<'_>, path: &Path) -> Diff {
        if after.is_some_and(Value::is_unknown) {
            let before = before.map(|before| self.block(block, Some(before), None, path));
            return self.unknown(before, path);
        }
        let mut mark = Mark::of(before, after);
        let mut attributes = Vec::new();
        for (name, attribute) in &block.attributes {
            let (before, after) =
                (text_or_none(child(before, name)), text_or_none(child(after, name)));
            if (before.is_some() || after.is_some()) && !attribute.write_only {
                let path = path.join(Step::Attribute(name.clone()));
                attributes.push((name.clone(), self.attribute(attribute, before, after, &path)));
            }
        }
        mark = mark.with_all(attributes.iter().map(|(_, diff)| diff));
        let mut blocks = Vec::new();
        for (name, nested) in &block.blocks {
            let path = path.join(Step::Attribute(name.clone()));
            self.nested(
                nested,
                name,
                [child(before, name), child(after, name)],
                &path,
                &mut blocks,
            );
        }
        mark = mark.with_all(blocks.iter().map(|(_, _, diff)| diff));
        self.write_only(&block.attributes, mark, path, &mut attributes);
        attributes.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.diff(mark, path, Kind::Block { attributes, blocks })
    }

    /// What is not kept is named where anything happens at all.
    fn write_only<'a>(
        &self,
        schema: impl IntoIterator<Item = (&'a String, &'a Attribute)>,
        mark: Mark,
        path: &Path,
        attributes: &mut Vec<(String, Diff)>,
    ) {
        for (name, _) in schema.into_iter().filter(|(_, attribute)| attribute.write_only) {
            let path = path.join(Step::Attribute(name.clone()));
            let mut diff = self.diff(mark, &path, Kind::WriteOnly);
            if diff.forces && mark == Mark::Same {
                diff.mark = Mark::Update;
            }
            if diff.mark != Mark::Same {
                attributes.push((name.clone(), diff));
            }
        }
    }

    fn nested(
        &self,
        nested: &NestedBlock,
        name: &str,
        [before, after]: [Side<'_>; 2],
        path: &Path,
        blocks: &mut Vec<(String, Option<String>, Diff)>,
    ) {
        if before.is_none() && after.is_none() {
            return;
        }
        if matches!(nested.nesting, Nesting::Single | Nesting::Group)
            || after.is_some_and(Value::is_unknown)
        {
            let diff = self.block(&nested.block, before, after, path);
            return blocks.push((name.to_owned(), None, diff));
        }
        let each = |before: Side<'_>, after: Side<'_>, path: &Path| {
            self.block(&nested.block, before, after, path)
        };
        let (before, after) = (before.map(bare), after.map(bare));
        let forces = self.replace_paths.contains(path);
        let mut add = |label, mut diff: Diff| {
            diff.forces |= forces && diff.mark != Mark::Same;
            blocks.push((name.to_owned(), label, diff));
        };
        match nested.nesting {
            Nesting::Map => {
                for (key, diff) in collections::by_key(before, after, path, &each) {
                    add(Some(key), diff);
                }
            }
            Nesting::Set => {
                collections::of_set(before, after, path, &each)
                    .into_iter()
                    .for_each(|diff| add(None, diff));
            }
            _ => {
                collections::by_index(before, after, path, &each)
                    .into_iter()
                    .for_each(|diff| add(None, diff));
            }
        }
    }

    fn attribute(
        &self,
        attribute: &Attribute,
        before: Side<'_>,
        after: Side<'_>,
        path: &Path,
    ) -> Diff {
        if attribute.sensitive {
            let mark = match (before, after) {
                (Some(before), Some(after)) if before != after => Mark::Update,
                _ => Mark::of(before, after),
            };
            return self.diff(mark, path, Kind::Sensitive);
        }
        match &attribute.nested {
            Some(nested) => self.nested_attribute(nested, before, after, path),
            None => self.value(&attribute.ty, before, after, path),
        }
    }

    fn nested_attribute(
        &self,
        nested: &Nested,
        before: Side<'_>,
        after: Side<'_>,
        path: &Path,
    ) -> Diff {
        if after.is_some_and(Value::is_unknown) {
            let before =
                before.map(|before| self.nested_attribute(nested, Some(before), None, path));
            return self.unknown(before, path);
        }
        let each = |before: Side<'_>, after: Side<'_>, path: &Path| {
            self.nested_object(nested, before, after, path)
        };
        let (before, after) = (before.map(bare), after.map(bare));
        let mark = Mark::of(before, after);
        match nested.nesting {
            Nesting::Single | Nesting::Group => each(before, after, path),
            Nesting::Map => {
                let elements = collections::by_key(before, after, path, &each);
                let mark = mark.with_all(elements.iter().map(|(_, diff)| diff));
                self.diff(mark, path, Kind::Map { elements, is_nested: true })
            }
            Nesting::List | Nesting::Set => {
                let elements = match nested.nesting {
                    Nesting::Set => collections::of_set(before, after, path, &each),
                    _ => collections::by_index(before, after, path, &each),
                };
                let mark = mark.with_all(&elements);
                self.diff(mark, path, Kind::Sequence { elements, has_order: false })
            }
        }
    }

    fn nested_object(
        &self,
        nested: &Nested,
        before: Side<'_>,
        after: Side<'_>,
        path: &Path,
    ) -> Diff {
        if after.is_some_and(Value::is_unknown) {
            let before = before.map(|before| self.nested_object(nested, Some(before), None, path));
            return self.unknown(before, path);
        }
        let mut attributes = Vec::new();
        for (name, attribute) in &nested.attributes {
            let (before, after) = (child(before, name), child(after, name));
            if (before.is_some() || after.is_some()) && !attribute.write_only {
                let path = path.join(Step::Attribute(name.clone()));
                attributes.push((name.clone(), self.attribute(attribute, before, after, &path)));
            }
        }
        let mark = Mark::of(before, after).with_all(attributes.iter().map(|(_, diff)| diff));
        self.write_only(&nested.attributes, mark, path, &mut attributes);
        attributes.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.diff(mark, path, Kind::Object { attributes, is_nested: true })
    }

    /// Values without a schema of their own.
    fn value(&self, ty: &Type, before: Side<'_>, after: Side<'_>, path: &Path) -> Diff {
        if let Type::Dynamic = ty {
            return self.open(before, after, path);
        }
        if after.is_some_and(Value::is_unknown) {
            let before = before.map(|before| self.value(ty, Some(before), None, path));
            return self.unknown(before, path);
        }
        let mark = Mark::of(before, after);
        let each = |ty: &Type, before: Side<'_>, after: Side<'_>, path: &Path| {
            self.value(ty, before, after, path)
        };
        match ty {
            Type::List(of) => {
                let each =
                    |before: Side<'_>, after: Side<'_>, path: &Path| each(of, before, after, path);
                let elements = collections::of_list(before, after, path, &each);
                let mark = mark.with_all(&elements);
                self.diff(mark, path, Kind::Sequence { elements, has_order: true })
            }
            Type::Set(of) => {
                let each =
                    |before: Side<'_>, after: Side<'_>, path: &Path| each(of, before, after, path);
                let elements = collections::of_set(before, after, path, &each);
                let mark = mark.with_all(&elements);
                self.diff(mark, path, Kind::Sequence { elements, has_order: false })
            }
            Type::Tuple(types) => {
                let elements = collections::of_tuple(types, before, after, path, &each);
                let mark = mark.with_all(&elements);
                self.diff(mark, path, Kind::Sequence { elements, has_order: true })
            }
            Type::Map(of) => {
                let each =
                    |before: Side<'_>, after: Side<'_>, path: &Path| each(of, before, after, path);
                let elements = collections::by_key(before, after, path, &each);
                let mark = mark.with_all(elements.iter().map(|(_, diff)| diff));
                self.diff(mark, path, Kind::Map { elements, is_nested: false })
            }
            Type::Object(types) => {
                let attributes: Vec<_> = types
                    .types
                    .iter()
                    .filter_map(|(name, ty)| {
                        let (before, after) = (child(before, name), child(after, name));
                        let path = path.join(Step::Attribute(name.clone()));
                        let is_there = before.is_some() || after.is_some();
                        is_there.then(|| (name.clone(), each(ty, before, after, &path)))
                    })
                    .collect();
                let mark = mark.with_all(attributes.iter().map(|(_, diff)| diff));
                self.diff(mark, path, Kind::Object { attributes, is_nested: false })
            }
            Type::Bool | Type::Number | Type::String | Type::Dynamic => {
                self.scalar(before, after, path)
            }
        }
    }

    /// Values that bring their type: compared by what they are.
    fn open(&self, before: Side<'_>, after: Side<'_>, path: &Path) -> Diff {
        let (before, after) = (before.map(bare), after.map(bare));
        if after.is_some_and(Value::is_unknown) {
            let before = before.map(|before| self.open(Some(before), None, path));
            return self.unknown(before, path);
        }
        let mark = Mark::of(before, after);
        match (before, after) {
            (Some(Value::Sequence(_)), None)
            | (None | Some(Value::Sequence(_)), Some(Value::Sequence(_))) => {
                let each =
                    |before: Side<'_>, after: Side<'_>, path: &Path| self.open(before, after, path);
                let elements = collections::of_list(before, after, path, &each);
                let mark = mark.with_all(&elements);
                self.diff(mark, path, Kind::Sequence { elements, has_order: true })
            }
            (Some(Value::Mapping(_)), None)
            | (None | Some(Value::Mapping(_)), Some(Value::Mapping(_))) => {
                let each =
                    |before: Side<'_>, after: Side<'_>, path: &Path| self.open(before, after, path);
                let attributes = collections::by_key(before, after, path, &each);
                let mark = mark.with_all(attributes.iter().map(|(_, diff)| diff));
                self.diff(mark, path, Kind::Object { attributes, is_nested: false })
            }
            (Some(old), Some(new)) if !is_alike(old, new) => {
                let before = Box::new(self.open(before, None, path));
                let after = Box::new(self.open(None, after, path));
                self.diff(Mark::Update, path, Kind::Retyped { before, after })
            }
            _ => self.scalar(before, after, path),
        }
    }

    fn scalar(&self, before: Side<'_>, after: Side<'_>, path: &Path) -> Diff {
        let is_update = before.is_some() && after.is_some() && before != after;
        let mark = if is_update { Mark::Update } else { Mark::of(before, after) };
        let (before, after) = (before.cloned(), after.cloned());
        self.diff(mark, path, Kind::Scalar { before, after })
    }
}

/// Whether an arrow between the two is all that is to be shown.
fn is_alike(before: &Value, after: &Value) -> bool {
    let is_collection = |value| matches!(value, &Value::Sequence(_) | &Value::Mapping(_));
    !is_collection(before) && !is_collection(after)
}

/// Providers from before null use empty strings for what is not there.
fn text_or_none(side: Side<'_>) -> Side<'_> {
    side.filter(|value| value.as_str() != Some(""))
}
