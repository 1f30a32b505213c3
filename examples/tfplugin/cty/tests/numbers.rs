//! Numbers.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::arbitrary::any_number;
use super::*;
use crate::tfplugin::cty::number::DIGITS_LIMIT;
use crate::tfplugin::cty::number::Written;

fn float(float: f64) -> Number {
    Number::from_f64(float).expect("a number")
}

#[test]
fn a_number_prints_without_an_exponent_and_without_needless_zeros() {
    let printed = [
        ("5", "5"),
        ("+5", "5"),
        ("-5.0", "-5"),
        ("007.700", "7.7"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-.25", "-0.25"),
        ("1e3", "1000"),
        ("12.5E+1", "125"),
        ("0.1", "0.1"),
        ("1e-7", "0.0000001"),
        ("1e25", "10000000000000000000000000"),
        ("-12345678901234567890.5", "-12345678901234567890.5"),
        ("-0", "0"),
        ("-0.000e9", "0"),
        ("Inf", "+Inf"),
        ("-inf", "-Inf"),
    ];
    for (text, shown) in printed {
        assert_eq!(number(text).to_string(), shown, "{text}");
    }
    assert_eq!(float(0.1).to_string(), "0.1");
    assert_eq!(float(1e22).to_string(), "10000000000000000000000");
    assert_eq!(Number::from(u64::MAX).to_string(), "18446744073709551615");
}

#[test]
fn a_text_that_is_no_number_is_refused() {
    for text in [
        "", "-", "+", ".", "e5", "1e", "1e+", "--1", "1_000", "0x10", "1.2.3", "1e1.5", " 1", "1 ",
        "٣", "NaN", "infinity", "1e5e5", "five",
    ] {
        assert_eq!(text.parse::<Number>(), Err(ParseNumberError::Syntax), "{text:?}");
    }
    assert_eq!(Number::from_f64(f64::NAN), None);
}

#[test]
fn a_number_that_prints_as_gigabytes_is_refused() {
    for text in ["1e1000000000", "1e-1000000000", "1e99999999999999999999", "1e4097", "1e-4097"] {
        assert_eq!(text.parse::<Number>(), Err(ParseNumberError::TooLong), "{text}");
    }
    let longest = format!("1e{}", DIGITS_LIMIT - 1);
    assert_eq!(number(&longest).to_string().len(), DIGITS_LIMIT);
    assert_eq!(number("0e1000000000"), Number::from(0));
}

#[test]
fn numbers_compare_by_value_however_they_came() {
    let equal = [
        (number("5"), Number::from(5)),
        (number("5.000"), float(5.0)),
        (number("1e3"), Number::from(1000)),
        (number("0.5"), float(0.5)),
        (number("9223372036854775808"), float(9_223_372_036_854_775_808.0)),
        (number("18446744073709551615"), Number::from(u64::MAX)),
        (number("-0.0"), float(-0.0)),
        (number("0.1000000000000000055511151231257827021181583404541015625"), float(0.1)),
        (number("1e400"), number("10e399")),
        (number("Inf"), float(f64::INFINITY)),
    ];
    for (one, two) in equal {
        assert_eq!(one, two);
    }
    assert_ne!(float(0.1), number("0.1"));
    assert_ne!(float(1e23), number("1e23"));
}

#[test]
fn numbers_are_in_their_order() {
    let ordered = [
        "-Inf",
        "-1e400",
        "-9223372036854775809",
        "-9223372036854775808",
        "-12.5",
        "-12",
        "-0.1",
        "-0.01",
        "-1e-400",
        "0",
        "1e-400",
        "0.01",
        "0.099",
        "0.1",
        "1",
        "9",
        "10",
        "9223372036854775807",
        "9223372036854775808",
        "1e400",
        "1.1e400",
        "Inf",
    ]
    .map(number);
    for (at, one) in ordered.iter().enumerate() {
        for (other_at, other) in ordered.iter().enumerate() {
            assert_eq!(one.cmp(other), at.cmp(&other_at), "{one} and {other}");
        }
    }
    // The float nearest to a tenth is a little more.
    assert_eq!(float(0.1).cmp(&number("0.1")), Ordering::Greater);
    assert_eq!(float(f64::MAX).cmp(&number("1e309")), Ordering::Less);
    assert_eq!(float(f64::INFINITY).cmp(&number("1e309")), Ordering::Greater);
    assert_eq!(float(f64::NEG_INFINITY).cmp(&number("-1e309")), Ordering::Less);
    assert_eq!(float(5e-324).cmp(&number("4.9e-324")), Ordering::Greater);
}

#[test]
fn a_number_is_sent_in_the_first_form_that_is_exact() {
    let text = |text: &str| Written::Text(text.to_owned());
    let sent = [
        (number("5.0"), Written::Integer(5)),
        (number("9223372036854775807"), Written::Integer(i64::MAX)),
        (number("9223372036854775808"), text("9223372036854775808")),
        (Number::from(u64::MAX), text("18446744073709551615")),
        (number("0.5"), Written::Float(0.5)),
        (number("0.1"), text("0.1")),
        (float(0.1), Written::Float(0.1)),
        (float(-0.0), Written::Integer(0)),
        (float(f64::INFINITY), Written::Float(f64::INFINITY)),
    ];
    for (number, written) in sent {
        assert_eq!(number.in_msgpack(), written, "{number}");
    }
}

#[test]
fn a_float_beyond_all_integers_is_sent_as_its_shortest_digits_as_go_cty_does() {
    let two_to_the_63rd = float(9_223_372_036_854_775_808.0);
    assert_eq!(two_to_the_63rd.in_msgpack(), Written::Text("9223372036854776000".to_owned()));
}

#[test]
fn in_json_a_number_that_readers_would_round_is_text() {
    let text = |text: &str| Some(Written::Text(text.to_owned()));
    assert_eq!(number("0.1").in_json(), Some(Written::Float(0.1)));
    assert_eq!(number("1e300").in_json(), Some(Written::Float(1e300)));
    assert_eq!(number("0.10000000000000000001").in_json(), text("0.10000000000000000001"));
    assert_eq!(number("18446744073709551615").in_json(), text("18446744073709551615"));
    assert!(matches!(number("1e-400").in_json(), Some(Written::Text(_))));
    assert!(matches!(number("1e400").in_json(), Some(Written::Text(_))));
    assert_eq!(number("Inf").in_json(), None);
}

#[test]
fn an_integer_is_one_only_if_it_fits() {
    assert_eq!(number("-3.0").as_i64(), Some(-3));
    assert_eq!(number("0.5").as_i64(), None);
    assert_eq!(number("9223372036854775808").as_i64(), None);
    assert_eq!(number("1e400").to_f64(), f64::INFINITY);
    assert_eq!(number("-1e-400").to_f64(), 0.0);
    assert_eq!(Number::from(1_i64 << 53).to_f64(), 9_007_199_254_740_992.0);
}

proptest! {
    #[test]
    fn the_text_of_a_number_that_came_as_text_is_the_same_number(number in any_number()) {
        // The text of a float is its shortest, which is another number.
        if matches!(number.in_msgpack(), Written::Integer(_) | Written::Text(_)) {
            prop_assert_eq!(number.to_string().parse::<Number>().unwrap(), number);
        }
    }

    #[test]
    fn every_float_is_exact(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        if let Some(number) = Number::from_f64(float) {
            prop_assert_eq!(number.to_f64(), float);
            // All of its digits, and none after them.
            if float.is_finite() {
                let digits = format!("{float:.1100}");
                prop_assert_eq!(super::number(&digits), number);
            }
        }
    }

    #[test]
    fn the_order_is_that_of_the_floats(one in any::<f64>(), two in any::<f64>()) {
        let written = |float: f64| number(&format!("{float:.1100}"));
        if one.is_finite() && two.is_finite() {
            let expected = one.partial_cmp(&two).unwrap();
            prop_assert_eq!(written(one).cmp(&float(two)), expected);
            prop_assert_eq!(float(one).cmp(&written(two)), expected);
        }
    }

    #[test]
    fn any_text_is_a_number_or_none_and_never_more(text in "[-+0-9.eE]{0,30}") {
        if let Ok(number) = text.parse::<Number>() {
            prop_assert!(number.to_string().len() <= 2 * DIGITS_LIMIT + 3);
        }
    }
}
