//! Functions for configurations. They need no notebook.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::server::Callable;
use crate::server::Fault;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Description;
use crate::tfplugin::schema::Function;
use crate::tfplugin::schema::Parameter;

/// `slug(text)`: a text as a part of an address or of a file's name.
pub fn slug() -> Callable {
    let signature = Function {
        parameters: vec![parameter("text", Type::String, "The text.")],
        variadic: None,
        returns: Type::String,
        summary: "A text as a part of an address".to_owned(),
        description: text(
            "The letters and digits of the text, in lower case and without accents, with a \
             hyphen for all that stands between: `Crème brûlée!` gives `creme-brulee`.",
        ),
        deprecation: String::new(),
    };
    Callable { signature, call: |arguments| slug_of(string(arguments, 0)?) }
}

/// `join_tags(separator, tags...)`: tags as one text.
pub fn join_tags() -> Callable {
    let tags = "Maps of tags. Of a name that is in several, the last counts.";
    let signature = Function {
        parameters: vec![parameter("separator", Type::String, "What stands between two tags.")],
        variadic: Some(parameter("tags", Type::map(Type::String), tags)),
        returns: Type::String,
        summary: "Tags as one text".to_owned(),
        description: text(
            "All tags, sorted by name: `name=value`, or `name` alone if the value is null.",
        ),
        deprecation: String::new(),
    };
    Callable { signature, call: |arguments| joined(string(arguments, 0)?, arguments) }
}

/// The longest text that is made a slug of, in bytes. Whoever wants more means something
/// else; and the provider does nothing else meanwhile.
const LONGEST_TEXT: usize = 64 * 1024;

fn slug_of(text: &str) -> Result<Value, Fault> {
    if text.len() > LONGEST_TEXT {
        let text = format!("a text of {} bytes is no address: {LONGEST_TEXT} at most", text.len());
        return Err(Fault { text, argument: Some(0) });
    }
    // Twice: the lower case of some letters comes with a mark of its own.
    let plain = text.nfkd().flat_map(char::to_lowercase).nfkd();
    let plain: String = plain.filter(|char| !is_combining_mark(*char)).collect();
    let words = plain.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    match words.collect::<Vec<_>>().join("-") {
        slug if slug.is_empty() => Err(Fault {
            text: format!("{text:?} has no letter and no digit to make a slug of"),
            argument: Some(0),
        }),
        slug => Ok(slug.into()),
    }
}

fn joined(separator: &str, arguments: &[Value]) -> Result<Value, Fault> {
    if separator.is_empty() {
        let text = "without a separator nobody could tell the tags apart".to_owned();
        return Err(Fault { text, argument: Some(0) });
    }
    let maps = arguments.iter().skip(1).filter_map(Value::as_mapping);
    let tags: std::collections::BTreeMap<&String, &Value> = maps.flatten().collect();
    let tags = tags.into_iter().map(|(name, value)| match value.as_str() {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    });
    Ok(tags.collect::<Vec<_>>().join(separator).into())
}

fn string(arguments: &[Value], at: usize) -> Result<&str, Fault> {
    arguments
        .get(at)
        .and_then(Value::as_str)
        .ok_or_else(|| Fault { text: "it must be a string".to_owned(), argument: Some(at) })
}

fn parameter(name: &str, ty: Type, description: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        ty,
        allows_null: false,
        allows_unknown: false,
        description: text(description),
    }
}

fn text(text: &str) -> Description {
    Description { text: text.to_owned(), is_markdown: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slug(text: &str) -> Result<Value, Fault> {
        (super::slug().call)(&[text.into()])
    }

    fn join(separator: &str, maps: &[&[(&str, Option<&str>)]]) -> Result<Value, Fault> {
        let map = |tags: &&[(&str, Option<&str>)]| {
            tags.iter().map(|(name, value)| (*name, Value::from(*value))).collect::<Value>()
        };
        let arguments: Vec<Value> =
            [separator.into()].into_iter().chain(maps.iter().map(map)).collect();
        (super::join_tags().call)(&arguments)
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_before_it_is_read() {
        assert!(slug(&"a".repeat(LONGEST_TEXT)).is_ok());
        let fault = slug(&"a".repeat(LONGEST_TEXT + 1)).unwrap_err();
        assert_eq!(fault.argument, Some(0));
    }

    #[test]
    fn a_slug_has_words_in_lower_case_without_accents() {
        assert_eq!(slug("  Crème brûlée, 2 ways! ").unwrap(), "creme-brulee-2-ways".into());
        assert_eq!(slug("İstanbul").unwrap(), "istanbul".into());
        assert_eq!(slug("Straße ﬁnden").unwrap(), "straße-finden".into());
    }

    #[test]
    fn what_has_no_word_in_it_has_no_slug() {
        for text in ["", " -- ", "\u{301}", "!?"] {
            assert_eq!(slug(text).unwrap_err().argument, Some(0), "{text:?}");
        }
    }

    #[test]
    fn tags_are_joined_in_order_and_the_last_of_a_name_counts() {
        let first: &[_] = &[("b", Some("1")), ("a", Some("1"))];
        let second: &[_] = &[("b", Some("2")), ("c", None)];
        assert_eq!(join(", ", &[first, second]).unwrap(), "a=1, b=2, c".into());
        assert_eq!(join(", ", &[]).unwrap(), "".into());
    }

    #[test]
    fn tags_need_a_separator() {
        assert_eq!(join("", &[]).unwrap_err().argument, Some(0));
    }

    proptest! {
        #[test]
        fn the_slug_of_a_slug_is_itself(text in "\\PC{0,40}") {
            if let Ok(once) = slug(&text) {
                let again = slug(once.as_str().expect("a string")).expect("a slug");
                prop_assert_eq!(again, once);
            }
        }
    }
}
