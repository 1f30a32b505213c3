//! What a provider is called: where it is published, by whom, and as what.

use std::fmt;
use std::str::FromStr;

/// The registry of an address that names none.
pub const DEFAULT_HOST: &str = "registry.terraform.io";

/// The namespace of an address that names none.
const DEFAULT_NAMESPACE: &str = "hashicorp";

/// The address of a provider: `registry.terraform.io/hashicorp/random`, of which
/// `hashicorp/random` and `random` are short forms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProviderAddress {
    /// `None` if the user leaves it open.
    host: Option<String>,
    pub namespace: String,
    pub name: String,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("a provider's address is [HOST/][NAMESPACE/]NAME, such as hashicorp/random")]
    Parts,
    #[error("{0:?} cannot be a part of a provider's address: use letters, digits, `-`, `_`, `.`")]
    Part(String),
}

impl ProviderAddress {
    pub fn new(host: &str, namespace: &str, name: &str) -> Result<Self, AddressError> {
        let host = Some(part(host)?);
        Ok(Self { host, namespace: part(namespace)?, name: part(name)? })
    }

    /// Of a provider that nothing is known of.
    pub fn unnamed() -> Self {
        let namespace = DEFAULT_NAMESPACE.to_owned();
        Self { host: None, namespace, name: "provider".to_owned() }
    }

    /// The host that the address names, if any.
    pub fn named_host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    pub fn host(&self) -> &str {
        self.host.as_deref().unwrap_or(DEFAULT_HOST)
    }

    /// Whether both may mean one provider: registries mirror each other.
    pub fn is_like(&self, other: &Self) -> bool {
        self.namespace == other.namespace && self.name == other.name
    }

    pub fn at(&self, host: &str) -> Self {
        Self { host: Some(host.to_owned()), ..self.clone() }
    }
}

/// A part becomes a folder's name: nothing that leads elsewhere is one.
fn part(text: &str) -> Result<String, AddressError> {
    let allowed = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    let is_part = text.starts_with(char::is_alphanumeric) && text.chars().all(allowed);
    if is_part { Ok(text.to_lowercase()) } else { Err(AddressError::Part(text.to_owned())) }
}

impl FromStr for ProviderAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [name] => {
                Ok(Self { host: None, namespace: DEFAULT_NAMESPACE.to_owned(), name: part(name)? })
            }
            [namespace, name] => {
                Ok(Self { host: None, namespace: part(namespace)?, name: part(name)? })
            }
            [host, namespace, name] => Self::new(host, namespace, name),
            _ => Err(AddressError::Parts),
        }
    }
}

impl fmt::Display for ProviderAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.host(), self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<ProviderAddress>().unwrap().to_string()
    }

    #[test]
    fn short_forms_are_completed_as_terraform_completes_them() {
        assert_eq!(shown("random"), "registry.terraform.io/hashicorp/random");
        assert_eq!(shown("Acme/thing"), "registry.terraform.io/acme/thing");
        assert_eq!(shown("example.org:8080/a/b"), "example.org:8080/a/b");
    }

    #[test]
    fn what_leads_out_of_the_folder_is_no_address() {
        for wrong in ["", "a/../b", "../a", "a//b", "a/b/c/d", "/a", "a b"] {
            assert!(wrong.parse::<ProviderAddress>().is_err(), "{wrong:?}");
        }
    }
}
