//! Values whose type a schema leaves open in places.

use super::types::Attributes;
use super::types::Type;
use super::value::Typed;
use super::value::Value;

impl Value {
    /// The value with the type that it really has: where `ty` is open, it is the one that
    /// the value brings. Collections stay open if their elements bring several.
    #[must_use]
    pub fn into_typed(self, ty: &Type) -> Typed {
        match (self, ty) {
            (Self::Dynamic(typed), Type::Dynamic) => typed.value.into_typed(&typed.ty),
            (value, ty) if !ty.has_dynamic() => Typed { ty: ty.clone(), value },
            (Self::Sequence(elements), Type::List(of)) => {
                let (of, elements) = common(elements, of);
                Typed { ty: Type::list(of), value: Self::Sequence(elements) }
            }
            (Self::Sequence(elements), Type::Set(of)) => {
                let (of, elements) = common(elements, of);
                Typed { ty: Type::set(of), value: Self::set(elements) }
            }
            (Self::Mapping(elements), Type::Map(of)) => {
                let (keys, elements): (Vec<_>, Vec<_>) = elements.into_iter().unzip();
                let (of, elements) = common(elements, of);
                Typed { ty: Type::map(of), value: keys.into_iter().zip(elements).collect() }
            }
            (Self::Sequence(elements), Type::Tuple(types)) => {
                let typed = elements.into_iter().zip(types);
                let typed = typed.map(|(element, ty)| element.into_typed(ty));
                let (types, elements) = typed.map(|typed| (typed.ty, typed.value)).unzip();
                Typed { ty: Type::Tuple(types), value: Self::Sequence(elements) }
            }
            (Self::Mapping(mut elements), Type::Object(attributes)) => {
                let mut types = Attributes::default();
                for (name, ty) in &attributes.types {
                    let element = elements.remove(name).unwrap_or(Self::Null);
                    let Typed { ty, value } = element.into_typed(ty);
                    types.types.insert(name.clone(), ty);
                    elements.insert(name.clone(), value);
                }
                Typed { ty: Type::Object(types), value: Self::Mapping(elements) }
            }
            (value, ty) => Typed { ty: ty.clone(), value },
        }
    }
}

/// The elements with the one type that they all have, or as they are.
fn common(elements: Vec<Value>, of: &Type) -> (Type, Vec<Value>) {
    let typed: Vec<_> = elements.iter().map(|element| element.clone().into_typed(of)).collect();
    match typed.first().map(|first| first.ty.clone()) {
        Some(ty) if typed.iter().all(|element| element.ty == ty) => {
            (ty, typed.into_iter().map(|element| element.value).collect())
        }
        _ => (of.clone(), elements),
    }
}
