//! Whatever a plugin writes can be read, and whatever is written can be read.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tracing::Level;

use super::*;
use crate::services::log::Field;
use crate::services::log::RECORD_BYTES;
use crate::services::log::Record;
use crate::services::log::SpanRecord;
use crate::services::log::Value;

/// As a plain message, if it is no log.
fn parse(line: &str) -> Record {
    let plain = || Record { file: None, line: None, ..Record::new(Level::INFO, line) };
    Lines::default().parse(line).unwrap_or_else(plain)
}

fn assert_plain(line: &str) {
    let record = parse(line);
    assert_eq!((record.level, record.message.as_str()), (Level::INFO, line));
    assert_eq!((record.fields, record.file, record.line), (vec![], None, None));
}

#[test]
fn a_line_of_hclog_is_read_with_all_it_has() {
    // As go-hclog 1.6 writes it.
    let record = parse(
        r#"{"@caller":"net/dial.go:42","@level":"warn","@message":"slow\npeer","@module":"plugin.net","@timestamp":"2026-01-02T03:04:05.123456+01:00","ok":false,"text":"a \"b\"","n":-3,"u":18446744073709551615,"f":0.5,"none":null,"list":[1, {"a":[]}],"big":18446744073709551616,"huge":1e999}"#,
    );
    assert_eq!(record.level, Level::WARN);
    assert_eq!(record.message, "slow\npeer");
    assert_eq!(record.target, "plugin.net");
    assert_eq!((record.file.as_deref(), record.line), (Some("net/dial.go"), Some(42)));
    let time = record.time.duration_since(UNIX_EPOCH).expect("after 1970");
    assert_eq!(time, Duration::from_micros(1_767_319_445_123_456));
    let json = |text: &str| Value::Debug(text.to_owned());
    let expected = [
        ("ok", Value::Bool(false)),
        ("text", "a \"b\"".into()),
        ("n", Value::I64(-3)),
        ("u", Value::U64(u64::MAX)),
        ("f", Value::F64(0.5)),
        ("none", json("null")),
        ("list", json(r#"[1, {"a":[]}]"#)),
        ("big", json("18446744073709551616")),
        ("huge", json("1e999")),
    ];
    let expected = expected.map(|(name, value)| Field { name: name.into(), value });
    assert_eq!(record.fields, expected);
}

#[test]
fn levels_are_read_as_hclog_reads_them() {
    let level = |text: &str| parse(&format!(r#"{{"@level":"{text}","@message":"m"}}"#));
    for (text, expected) in
        [("TRACE", Level::TRACE), (" Debug", Level::DEBUG), ("eRRor", Level::ERROR)]
    {
        let record = level(text);
        assert_eq!((record.level, record.message.as_str()), (expected, "m"), "{text}");
    }
    assert_plain(r#"{"@level":"off","@message":"m"}"#);
    assert_plain(r#"{"@level":"critical","@message":"m"}"#);
}

#[test]
fn a_time_of_any_fraction_is_read_and_a_bad_one_loses_only_itself() {
    for (text, nanos) in [("05Z", 0), ("05.5Z", 500_000_000), ("05.123456789Z", 123_456_789)] {
        let line = format!(r#"{{"@level":"info","@timestamp":"2026-01-02T03:04:{text}"}}"#);
        let record = parse(&line);
        let time = record.time.duration_since(UNIX_EPOCH).expect("after 1970");
        assert_eq!(time.subsec_nanos(), nanos, "{text}");
        assert_eq!(record.fields, []);
    }
    let record = parse(r#"{"@level":"warn","@message":"m","@timestamp":"now","@caller":"me"}"#);
    assert_eq!((record.level, record.message.as_str()), (Level::WARN, "m"));
    let field = |name: &'static str, value: &str| Field { name: name.into(), value: value.into() };
    assert_eq!(record.fields, [field("@timestamp", "now"), field("@caller", "me")]);
}

#[test]
fn a_line_that_is_not_quite_hclogs_is_a_plain_one() {
    for line in [
        r#"{"@level":"info","@message":7}"#,
        r#"{"@level":null,"@message":"m"}"#,
        r#"{"@level":"info","@timestamp":{}}"#,
        r#"{"@level":"info","@module":[]}"#,
        r#"{"@level":"info","@caller":1}"#,
        r#"{"@level":"info","@cut":"1"}"#,
        r#"{"@level":"info","@message":"\ud800"}"#,
        r#"{"@level":"info"} and more"#,
        r#"{"@level":"info""#,
        r#"{"@message":"m"}"#,
        r#"["@level"]"#,
        "{}",
        "{",
        "",
        "text",
    ] {
        assert_plain(line);
    }
}

#[test]
fn json_of_any_depth_and_length_is_read_without_recursion() {
    let deep = "[".repeat(1_000_000);
    assert_plain(&deep);
    assert_plain(&format!(r#"{{"@level":"info","a":{deep}"#));
    let closed = format!("{deep}{}", "]".repeat(deep.len()));
    let record = parse(&format!(r#"{{"@level":"info","a":{closed}}}"#));
    assert_eq!(record.fields, [Field { name: "a".into(), value: Value::Debug(closed) }]);
}

#[test]
fn tags_give_a_level_and_stay_in_the_text() {
    for (line, level) in [
        ("[TRACE] a", Level::TRACE),
        ("[DEBUG] a", Level::DEBUG),
        ("[INFO] a", Level::INFO),
        ("[WARN] a", Level::WARN),
        ("[ERROR]a", Level::ERROR),
        ("[error] a", Level::INFO),
        (" [ERROR] a", Level::INFO),
    ] {
        let record = parse(line);
        assert_eq!((record.level, record.message.as_str()), (level, line));
    }
}

#[test]
fn from_last_words_on_all_that_has_no_level_is_an_error() {
    for words in ["panic: oh", "fatal error: all goroutines are asleep"] {
        let mut lines = Lines::default();
        let mut level = |line: &str| lines.parse(line).map_or(Level::INFO, |it| it.level);
        assert_eq!(level("don't panic: fine"), Level::INFO);
        assert_eq!(level(words), Level::ERROR);
        assert_eq!(level(""), Level::ERROR);
        assert_eq!(level("goroutine 1 [running]:"), Level::ERROR);
        assert_eq!(level("[DEBUG] a"), Level::DEBUG);
        assert_eq!(level(r#"{"@level":"trace"}"#), Level::TRACE);
        assert_eq!(level(r#"{"level":"trace"}"#), Level::ERROR);
    }
}

#[test]
fn a_record_is_written_as_hclog_writes_it() {
    let mut record = Record::new(Level::WARN, "line\nbreak")
        .with_field("text", "a \"b\"")
        .with_field("flag", true)
        .with_field("id", u64::MAX)
        .with_field("least", i64::MIN)
        .with_field("n", -7)
        .with_field("whole", 5.0)
        .with_field("nan", f64::NAN)
        .with_field("bytes", Bytes::from_static(b"\x00\xff"))
        .with_field("@level", "theirs")
        .with_field("@level_", "theirs too");
    record.time = UNIX_EPOCH + Duration::from_nanos(1_767_319_445_000_001_999);
    record.file = Some("src/a.rs".into());
    record.line = Some(3);
    let expected = concat!(
        r#"{"@level":"warn","@timestamp":"2026-01-02T02:04:05.000001Z","@module":"p","#,
        r#""@caller":"src/a.rs:3","@message":"line\nbreak","text":"a \"b\"","flag":true,"#,
        r#""id":"18446744073709551615","least":"-9223372036854775808","n":-7,"whole":5.0,"#,
        r#""nan":"NaN","bytes":"00ff","@level_":"theirs","@level__":"theirs too"}"#,
        "\n"
    );
    assert_eq!(line(&record, "p"), expected);
}

#[test]
fn of_spans_and_their_record_the_innermost_field_wins() {
    let mut record = Record::new(Level::INFO, "m").with_field("a", 3).with_target("t");
    let span = |name: &'static str, fields: &[(&'static str, i64)]| SpanRecord {
        name: name.into(),
        fields: fields
            .iter()
            .map(|(name, value)| Field { name: (*name).into(), value: (*value).into() })
            .collect(),
    };
    record.spans =
        vec![span("outer", &[("a", 1), ("b", 1), ("c", 1)]), span("inner", &[("a", 2), ("b", 2)])];
    let read = parse(line(&record, "p").trim_end());
    let fields = read.fields.iter().map(|field| format!("{}={}", field.name, field.value));
    assert_eq!(fields.collect::<Vec<_>>(), ["c=1", "b=2", "a=3"]);
    assert_eq!(read.target, "t");
}

#[test]
fn a_time_that_the_calendar_does_not_have_is_left_out() {
    let mut record = Record::new(Level::INFO, "m");
    for (seconds, text) in [(0, "1970-01-01T00:00:00.000000Z"), (1, "1969-12-31T23:59:59.000000Z")]
    {
        record.time = UNIX_EPOCH - Duration::from_secs(seconds);
        assert!(line(&record, "p").contains(text), "{}", line(&record, "p"));
    }
    record.time = UNIX_EPOCH + Duration::from_secs(1_000_000_000_000);
    assert!(!line(&record, "p").contains("@timestamp"));
    record.time = UNIX_EPOCH - Duration::from_secs(1_000_000_000_000);
    assert!(!line(&record, "p").contains("@timestamp"));
}

#[test]
fn what_is_too_long_is_cut_fields_first_and_visibly() {
    // As long as the queue lets a record be, and six times that as JSON.
    let record = Record::new(Level::INFO, "\u{1}".repeat(RECORD_BYTES / 4))
        .with_field("first", "\u{2}".repeat(RECORD_BYTES / 2))
        .with_field("second", 1);
    let written = line(&record, "p");
    assert!(written.len() <= LONGEST_LINE);
    let read = parse(written.trim_end());
    assert_eq!(read.message, record.message);
    let [Field { value: Value::Text(first), .. }] = &read.fields[..] else {
        panic!("{:?}", read.fields);
    };
    let kept = first.strip_suffix('…').expect("the mark").len();
    assert_eq!(read.cut, (RECORD_BYTES / 2 - kept + 1) as u64);

    let record = Record::new(Level::INFO, "\u{1}".repeat(RECORD_BYTES)).with_field("f", "x");
    let written = line(&record, &"p".repeat(RECORD_BYTES));
    assert!(written.len() <= LONGEST_LINE && written.len() > LONGEST_LINE - 100);
    let read = parse(written.trim_end());
    assert!(read.message.ends_with('…') && read.cut > 0);
}

/// What is left of a field's type on the wire.
fn on_the_wire(value: &Value) -> Value {
    let exact = 1 << 53;
    match value {
        Value::Debug(text) => Value::Text(text.clone()),
        Value::I64(number) if number.unsigned_abs() <= exact => {
            u64::try_from(*number).map_or(Value::I64(*number), Value::U64)
        }
        Value::U64(number) if *number > exact => Value::Text(number.to_string()),
        Value::F64(number) if !number.is_finite() => Value::Text(number.to_string()),
        Value::I64(_) | Value::Bytes(_) => Value::Text(value.to_string()),
        other => other.clone(),
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::Text),
        (0..RECORD_BYTES).prop_map(|length| Value::Debug("\u{1}é".repeat(length))),
        vec(any::<u8>(), 0..99).prop_map(|bytes| Value::Bytes(bytes.into())),
        any::<i64>().prop_map(Value::I64),
        (0..99_i64).prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_map(Value::F64),
    ]
}

fn fields() -> impl Strategy<Value = Vec<Field>> {
    let name = prop_oneof!["(?s).{0,3}", "@level_{0,2}", "@message", "@caller", "@cut", "[a-c]"];
    let field = (name, value()).prop_map(|(name, value)| Field { name: name.into(), value });
    vec(field, 0..6)
}

proptest! {
    #[test]
    fn a_record_that_was_written_is_read_back(
        level in prop::sample::select(vec![Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]),
        message in any::<String>(),
        repeat in prop_oneof![9 => Just(1), 1 => 0..3000_usize],
        target in "(?s).{0,9}",
        span in fields(),
        fields in fields(),
        micros in any::<u32>(),
    ) {
        let mut record = Record::new(level, message.repeat(repeat)).with_target(target);
        record.spans = vec![SpanRecord { name: "s".into(), fields: span }];
        record.fields = fields;
        record.time = UNIX_EPOCH + Duration::from_micros(u64::from(micros) << 19);
        let written = line(&record, "p");
        prop_assert!(written.len() <= LONGEST_LINE);
        prop_assert_eq!(written.find('\n'), Some(written.len() - 1));
        let read = parse(written.trim_end_matches('\n'));
        prop_assert_eq!(read.level, level);
        prop_assert_eq!(read.time, record.time);
        if read.cut == 0 {
            prop_assert_eq!(&read.message, &record.message);
            let target = if record.target.is_empty() { "p" } else { &*record.target };
            prop_assert_eq!(&read.target, target);
            prop_assert_eq!((&read.file, read.line), (&record.file, record.line));
            // A text for comparison: a NaN is not equal to itself.
            let all = record.spans.iter().flat_map(|span| &span.fields).chain(&record.fields);
            let expected = all
                .map(|field| (write::name(&field.name).into_owned(), on_the_wire(&field.value)))
                .collect::<BTreeMap<_, _>>();
            let fields = read.fields.len();
            let read = read.fields.into_iter().map(|field| (field.name.into_owned(), field.value));
            let read = read.collect::<BTreeMap<_, _>>();
            prop_assert_eq!(read.len(), fields);
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn any_text_can_be_read_and_none_is_lost(line in "(?s).{0,99}") {
        let record = parse(&line);
        prop_assert_eq!(record.message, line);
    }

    #[test]
    fn anything_like_json_can_be_read(
        line in r#"\{("@(level|message|timestamp|caller|cut)":("info"|"a:1"|[0-9e.\-]{1,9}|\[|\{|\}|null),?){0,5}\}?"#,
    ) {
        parse(&line);
    }
}
