//! Types and values of any shape.

use proptest::collection::btree_map;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Any type. Those with parts that are open are as schemas have them: go-cty has no
/// collections of several types.
pub fn any_type() -> BoxedStrategy<Type> {
    let open = closed_type().prop_recursive(2, 8, 3, |inner| {
        let inner = prop_oneof![inner, Just(Type::Dynamic)];
        composite(inner.boxed())
    });
    prop_oneof![3 => closed_type(), 1 => Just(Type::Dynamic), 2 => open].boxed()
}

/// A type with nothing open in it.
fn closed_type() -> BoxedStrategy<Type> {
    let primitive = prop_oneof![Just(Type::Bool), Just(Type::Number), Just(Type::String)];
    let composite = primitive.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            composite(inner.boxed()),
        ]
    });
    composite.boxed()
}

/// A tuple or an object.
fn composite(inner: BoxedStrategy<Type>) -> BoxedStrategy<Type> {
    let attributes = btree_map("[a-z<&é]{1,3}", inner.clone(), 0..4);
    prop_oneof![vec(inner, 0..4).prop_map(Type::Tuple), attributes.prop_map(Type::object),].boxed()
}

/// Any value of the type, with nulls and unknowns in all places.
pub fn any_value(ty: &Type) -> BoxedStrategy<Value> {
    let known = match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Number => any_number().prop_map(Value::Number).boxed(),
        Type::String => {
            let plain = "[a-z0-9]{0,40}";
            prop_oneof![any::<String>(), plain].prop_map(Value::from).boxed()
        }
        Type::Dynamic => {
            let typed = closed_type().prop_flat_map(|ty| {
                let value = any_value(&ty);
                value.prop_map(move |value| Value::dynamic(ty.clone(), value))
            });
            // Where the type is open, what is null or unknown may say of which type.
            return prop_oneof![8 => typed, 1 => Just(Value::Null), 1 => Just(Value::unknown())]
                .boxed();
        }
        Type::List(of) => vec(any_value(of), 0..4).prop_map(Value::Sequence).boxed(),
        Type::Set(of) => vec(any_value(of), 0..4).prop_map(Value::set).boxed(),
        Type::Map(of) => {
            btree_map(any::<String>(), any_value(of), 0..4).prop_map(Value::from_iter).boxed()
        }
        Type::Tuple(types) => {
            types.iter().map(any_value).collect::<Vec<_>>().prop_map(Value::Sequence).boxed()
        }
        Type::Object(attributes) => {
            let (names, types): (Vec<_>, Vec<_>) = attributes.types.clone().into_iter().unzip();
            let values: Vec<_> = types.iter().map(any_value).collect();
            values.prop_map(move |values| names.clone().into_iter().zip(values).collect()).boxed()
        }
    };
    let unknown = any_refinement(ty).prop_map(Value::Unknown);
    prop_oneof![8 => known, 1 => Just(Value::Null), 1 => unknown].boxed()
}

/// Any number that survives: floats beyond all `i64` are sent as their shortest digits.
pub fn any_number() -> impl Strategy<Value = Number> {
    let fraction = any::<f64>()
        .prop_filter("finite, with a fraction", |float| float.is_finite() && float.fract() != 0.0);
    let decimal = "-?[0-9]{1,40}(\\.[0-9]{1,60})?(e-?[0-9]{1,2})?";
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        (-300..300_i64).prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        fraction.prop_filter_map("a number", Number::from_f64),
        Just(f64::INFINITY).prop_filter_map("a number", Number::from_f64),
        decimal.prop_map(|text| number(&text)),
    ]
}

/// What may be known of an unknown value of the type, and does not make it known.
fn any_refinement(ty: &Type) -> BoxedStrategy<Refinement> {
    let is_null = prop_oneof![Just(None), Just(Some(false))];
    let refined = match ty {
        Type::String => (is_null, proptest::option::of("[a-z]{1,20}-"))
            .prop_map(|(is_null, prefix)| Range { is_null, prefix, ..Range::default() })
            .boxed(),
        Type::Number => (is_null, -1000..0_i64, 1..1000_i64, any::<(bool, bool)>())
            .prop_map(|(is_null, lower, upper, (one, two))| {
                let bound =
                    |number: i64, inclusive| Some(Bound { number: number.into(), inclusive });
                let (lower, upper) = (bound(lower, one), bound(upper, two));
                Range { is_null, lower, upper, ..Range::default() }
            })
            .boxed(),
        Type::List(_) | Type::Set(_) | Type::Map(_) => (is_null, 1..9_i64, 10..99_i64)
            .prop_map(|(is_null, min, max)| Range {
                is_null,
                min_length: Some(min),
                max_length: Some(max),
                ..Range::default()
            })
            .boxed(),
        _ => is_null.prop_map(|is_null| Range { is_null, ..Range::default() }).boxed(),
    };
    refined.prop_map(|range| Refinement::new(&range)).boxed()
}

/// A type and a value of it.
pub fn any_typed() -> impl Strategy<Value = Typed> {
    any_type().prop_flat_map(|ty| {
        let value = any_value(&ty);
        value.prop_map(move |value| Typed { ty: ty.clone(), value })
    })
}

/// Bytes: of any kind, or a value's with something changed.
pub fn any_bytes() -> impl Strategy<Value = (Type, Vec<u8>)> {
    let random = (any_type(), vec(any::<u8>(), 0..200));
    let changed = (any_typed(), vec((any::<usize>(), any::<u8>()), 0..4), any::<Option<u8>>());
    let changed = changed.prop_map(|(Typed { ty, value }, changes, cut)| {
        let mut bytes = value.to_msgpack(&ty).expect("a value of its type");
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let length = bytes.len() - cut.map_or(0, |cut| usize::from(cut) % bytes.len());
        bytes.truncate(length);
        (ty, bytes)
    });
    prop_oneof![random, changed]
}
