//! Writes a tree of differences down, as people know it from Terraform.

use similar::Algorithm;
use similar::DiffOp;

use crate::render::Style;
use crate::render::diff::Diff;
use crate::render::diff::Kind;
use crate::render::diff::Mark;
use crate::render::diff::unchanged;
use crate::render::name;
use crate::render::printable;
use crate::render::quoted;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;

/// Attributes that are shown even if they stay, for they say what it is.
const TELLING: [&str; 3] = ["id", "name", "tags"];

/// How a tree is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub style: Style,
    /// Also what stays as it is, and without signs at the left: the object itself.
    pub is_plain: bool,
}

/// The block of a resource, from its opening brace on.
pub fn block_text(diff: &Diff, shown: Shown) -> String {
    let printer = Printer { shown };
    printer.value(diff, 0, Context { shows_same: shown.is_plain, ..Context::default() })
}

/// A value by itself.
pub fn value_text(ty: &Type, value: &Value, style: Style) -> String {
    let printer = Printer { shown: Shown { style, is_plain: true } };
    // An unknown value is shown as one that comes into being.
    match value {
        Value::Unknown(_) => plain(value),
        value => {
            let context = Context { shows_same: true, ..Context::default() };
            printer.value(&unchanged(ty, value), 0, context)
        }
    }
}

/// What those around a value have decided about it.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    shows_same: bool,
    /// Somebody has said already that it is gone.
    hides_null: bool,
    /// The whole collection forces a replacement.
    forces: bool,
}

struct Printer {
    shown: Shown,
}

fn indent(level: usize) -> String {
    "    ".repeat(level)
}

impl Printer {
    fn sign(&self, mark: Mark) -> String {
        if self.shown.is_plain {
            return String::new();
        }
        let style = self.shown.style;
        match mark {
            Mark::Same => "    ".to_owned(),
            Mark::Create => format!("  {} ", style.green("+")),
            Mark::Update => format!("  {} ", style.yellow("~")),
            Mark::Delete => format!("  {} ", style.red("-")),
        }
    }

    /// The beginning of a line below `level`.
    fn line(&self, level: usize, mark: Mark) -> String {
        format!("{}{}", indent(level + 1), self.sign(mark))
    }

    /// The closing bracket, on a line of its own.
    fn end(&self, level: usize, bracket: char) -> String {
        format!("{}{}{bracket}", indent(level), self.sign(Mark::Same))
    }

    fn null(&self, diff: &Diff, context: Context) -> String {
        if context.hides_null || diff.mark != Mark::Delete {
            return String::new();
        }
        format!(" {}", self.shown.style.dim("-> null"))
    }

    fn forces(&self, diff: &Diff, context: Context) -> String {
        if !diff.forces && !context.forces {
            return String::new();
        }
        format!(" {}", self.shown.style.red("# forces replacement"))
    }

    fn arrow(&self) -> String {
        self.shown.style.yellow("->")
    }

    fn hidden(&self, what: &str, count: usize) -> String {
        let plural = if count == 1 { "" } else { "s" };
        self.shown.style.dim(&format!("# ({count} unchanged {what}{plural} hidden)"))
    }

    /// A value, without the sign before it. Lines after the first are below `level`.
    fn value(&self, diff: &Diff, level: usize, context: Context) -> String {
        // What is in a collection says by itself whether it forces a replacement.
        let inner = Context { forces: false, ..context };
        let forces = self.forces(diff, context);
        match &diff.kind {
            Kind::Scalar { before, after } => {
                self.scalar(diff, before.as_ref(), after.as_ref(), level, context)
            }
            Kind::Unknown { before: None } => format!("(known after apply){forces}"),
            Kind::Unknown { before: Some(before) } => {
                let before = self.value(before, level, Context { hides_null: true, ..inner });
                format!("{before} {} (known after apply){forces}", self.arrow())
            }
            Kind::Sensitive => format!("(sensitive value){}{forces}", self.null(diff, context)),
            Kind::WriteOnly => {
                format!("(write-only attribute){forces}{}", self.null(diff, context))
            }
            Kind::Sequence { elements, has_order } => {
                self.sequence(diff, elements, *has_order, level, context)
            }
            Kind::Map { elements, is_nested } => {
                self.map(diff, elements, *is_nested, level, context)
            }
            Kind::Object { attributes, is_nested } => {
                if attributes.is_empty() {
                    return format!("{{}}{}{forces}", self.null(diff, context));
                }
                let inner = Context { hides_null: !is_nested, ..inner };
                let lines = self.attributes(attributes, level, inner);
                let end = self.end(level, '}');
                format!("{{{forces}\n{lines}{end}{}", self.null(diff, context))
            }
            Kind::Block { attributes, blocks } => {
                if attributes.is_empty() && blocks.is_empty() {
                    return format!("{{}}{forces}");
                }
                let lines = self.attributes(attributes, level, inner);
                let blocks = self.blocks(attributes, blocks, level, inner);
                format!("{{{forces}\n{lines}{blocks}{}", self.end(level, '}'))
            }
            Kind::Retyped { before, after } => {
                let inner = Context { hides_null: true, ..inner };
                let (before, after) =
                    (self.value(before, level, inner), self.value(after, level, inner));
                format!("{before} {} {after}{forces}", self.arrow())
            }
        }
    }

    fn attributes(&self, attributes: &[(String, Diff)], level: usize, context: Context) -> String {
        let width = |(key, _): &(String, Diff)| name(key).chars().count();
        let width = attributes.iter().map(width).max().unwrap_or_default();
        let mut lines = String::new();
        let mut unchanged = 0;
        for (key, diff) in attributes {
            let is_telling = TELLING.contains(&key.as_str());
            if diff.mark == Mark::Same && !context.shows_same && !is_telling {
                unchanged += 1;
                continue;
            }
            let context = Context { shows_same: context.shows_same || is_telling, ..context };
            let (sign, value) = (self.line(level, diff.mark), self.value(diff, level + 1, context));
            lines.push_str(&format!("{sign}{:width$} = {value}\n", name(key)));
        }
        if unchanged > 0 {
            let sign = self.line(level, Mark::Same);
            lines.push_str(&format!("{sign}{}\n", self.hidden("attribute", unchanged)));
        }
        lines
    }

    fn blocks(
        &self,
        attributes: &[(String, Diff)],
        blocks: &[(String, Option<String>, Diff)],
        level: usize,
        context: Context,
    ) -> String {
        let mut lines = String::new();
        let mut unchanged = 0;
        let mut last = None;
        for (key, label, diff) in blocks {
            if diff.mark == Mark::Same && !context.shows_same {
                unchanged += 1;
                continue;
            }
            // A line between groups.
            if last != Some(key) && (last.is_some() || !attributes.is_empty()) {
                lines.push('\n');
            }
            last = Some(key);
            let label =
                label.as_ref().map(|label| format!(" {}", quoted(label))).unwrap_or_default();
            let (sign, block) = (self.line(level, diff.mark), self.value(diff, level + 1, context));
            lines.push_str(&format!("{sign}{}{label} {block}\n", name(key)));
        }
        if unchanged > 0 {
            let sign = self.line(level, Mark::Same);
            lines.push_str(&format!("\n{sign}{}\n", self.hidden("block", unchanged)));
        }
        lines
    }

    fn map(
        &self,
        diff: &Diff,
        elements: &[(String, Diff)],
        is_nested: bool,
        level: usize,
        context: Context,
    ) -> String {
        let (null, forces) = (self.null(diff, context), self.forces(diff, context));
        if elements.is_empty() {
            return format!("{{}}{null}{forces}");
        }
        let hides_null = context.hides_null || is_nested || diff.mark == Mark::Delete;
        let inner = Context { hides_null, forces: false, ..context };
        let width = elements.iter().map(|(key, _)| quoted(key).chars().count()).max();
        let width = width.unwrap_or_default();
        let mut text = format!("{{{forces}\n");
        let mut unchanged = 0;
        for (key, element) in elements {
            if element.mark == Mark::Same && !context.shows_same {
                unchanged += 1;
                continue;
            }
            let (sign, value) =
                (self.line(level, element.mark), self.value(element, level + 1, inner));
            let comma = if matches!(element.kind, Kind::Object { .. }) { "," } else { "" };
            text.push_str(&format!("{sign}{:width$} = {value}{comma}\n", quoted(key)));
        }
        if unchanged > 0 {
            let sign = self.line(level, Mark::Same);
            text.push_str(&format!("{sign}{}\n", self.hidden("element", unchanged)));
        }
        format!("{text}{}{null}", self.end(level, '}'))
    }

    fn sequence(
        &self,
        diff: &Diff,
        elements: &[Diff],
        has_order: bool,
        level: usize,
        context: Context,
    ) -> String {
        let (null, forces) = (self.null(diff, context), self.forces(diff, context));
        if elements.is_empty() {
            return format!("[]{null}{forces}");
        }
        let inner = Context { hides_null: true, forces: false, ..context };
        // In a list the neighbours of what changes show where that is.
        let is_changed = |at: usize| elements.get(at).is_some_and(|near| near.mark != Mark::Same);
        let is_near =
            |at: usize| has_order && (is_changed(at + 1) || (at > 0 && is_changed(at - 1)));
        let mut text = format!("[{forces}\n");
        let mut unchanged = 0;
        let hide = |text: &mut String, unchanged: &mut usize| {
            if *unchanged > 0 {
                let sign = self.line(level, Mark::Same);
                text.push_str(&format!("{sign}{}\n", self.hidden("element", *unchanged)));
                *unchanged = 0;
            }
        };
        for (at, element) in elements.iter().enumerate() {
            let is_same = element.mark == Mark::Same;
            if is_same && !context.shows_same && !is_near(at) {
                unchanged += 1;
                continue;
            }
            if has_order {
                hide(&mut text, &mut unchanged);
            }
            let inner = Context { shows_same: context.shows_same || is_same, ..inner };
            let (sign, value) =
                (self.line(level, element.mark), self.value(element, level + 1, inner));
            text.push_str(&format!("{sign}{value},\n"));
        }
        hide(&mut text, &mut unchanged);
        format!("{text}{}{null}", self.end(level, ']'))
    }

    fn scalar(
        &self,
        diff: &Diff,
        before: Option<&Value>,
        after: Option<&Value>,
        level: usize,
        context: Context,
    ) -> String {
        let (null, forces) = (self.null(diff, context), self.forces(diff, context));
        let texts = [before, after].map(|value| value.and_then(Value::as_str));
        if texts.iter().flatten().any(|text| text.contains('\n')) {
            let [before, after] = lines_of(texts);
            let lines = self.lines(&before, &after, level);
            let end = self.sign(Mark::Same);
            return format!("<<-EOT{forces}\n{lines}{}{end}EOT{null}", indent(level));
        }
        match (before, after) {
            (Some(before), Some(after)) if before != after => {
                format!("{} {} {}{forces}", plain(before), self.arrow(), plain(after))
            }
            (_, Some(value)) => format!("{}{forces}", plain(value)),
            (Some(value), None) => format!("{}{null}{forces}", plain(value)),
            (None, None) => format!("null{forces}"),
        }
    }

    /// The lines of a text, and what happens to each.
    fn lines(&self, before: &[&str], after: &[&str], level: usize) -> String {
        let mut text = String::new();
        let mut add = |mark: Mark, lines: &[&str]| {
            for line in lines {
                text.push_str(&format!("{}{}\n", self.line(level, mark), printable(line)));
            }
        };
        // Of a text that comes or goes as a whole the sign before it says so.
        if before.is_empty() || after.is_empty() {
            add(Mark::Same, before);
            add(Mark::Same, after);
            return text;
        }
        for operation in similar::capture_diff_slices(Algorithm::Myers, before, after) {
            let (old, new) = (operation.old_range(), operation.new_range());
            if let DiffOp::Equal { .. } = operation {
                add(Mark::Same, before.get(old).unwrap_or_default());
            } else {
                add(Mark::Delete, before.get(old).unwrap_or_default());
                add(Mark::Create, after.get(new).unwrap_or_default());
            }
        }
        text
    }
}

/// Texts as lines. That the last line ends is not shown, unless it is all that changes.
fn lines_of(texts: [Option<&str>; 2]) -> [Vec<&str>; 2] {
    let ended = texts.map(|text| text.map(|text| text.strip_suffix('\n').unwrap_or(text)));
    let texts = if ended[0] == ended[1] && texts[0] != texts[1] { texts } else { ended };
    texts.map(|text| text.into_iter().flat_map(|text| text.split('\n')).collect())
}

/// A value that is no collection.
fn plain(value: &Value) -> String {
    match value {
        Value::Bool(true) => "true".to_owned(),
        Value::Bool(false) => "false".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Null => "null".to_owned(),
        Value::Unknown(_) => "(known after apply)".to_owned(),
        // A schema says otherwise, and then it is not shown in this way.
        Value::Sequence(_) => "[...]".to_owned(),
        Value::Mapping(_) => "{...}".to_owned(),
        Value::Dynamic(typed) => plain(&typed.value),
    }
}
