//! What is in a spec file. Nothing is read here.

use serde::Deserialize;
use thiserror::Error;

use crate::docker::address::Address;
use crate::docker::address::AddressError;
use crate::docker::tls::TlsOptions;

/// The most that a spec file may have, in bytes: 64 KiB, some hundred times what one needs.
pub(super) const MAX_SPEC: usize = 64 * 1024;

/// Reads a `.spec` file: an address, and nothing else.
pub(super) fn parse_text(text: &[u8]) -> Result<Address, SpecError> {
    let text = std::str::from_utf8(text).map_err(SpecError::Text)?;
    Ok(text.parse()?)
}

/// Reads a `.json` file: an address, and how to encrypt. Its `Name` is nothing: the file's
/// own name is the plugin's.
pub(super) fn parse_json(text: &[u8]) -> Result<(Address, Option<TlsOptions>), SpecError> {
    let json: Json = serde_json::from_slice(text)?;
    Ok((json.addr.parse()?, json.tls))
}

#[derive(Deserialize)]
struct Json {
    #[serde(rename = "Addr")]
    addr: String,
    #[serde(rename = "TLSConfig")]
    tls: Option<TlsOptions>,
}

/// What is wrong with a spec file: whoever has written it is at fault.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It is not text.
    #[error("it is not text")]
    Text(#[source] std::str::Utf8Error),

    /// It is not the JSON that it should be.
    #[error("it is not the JSON of a plugin")]
    Json(#[from] serde_json::Error),

    /// The address in it is none. Also if the path of a socket is too long that was found.
    #[error("it has no usable address")]
    Address(#[from] AddressError),

    /// It is too long to be one.
    #[error("it has more than {MAX_SPEC} bytes, and cannot be a spec file")]
    TooLong,
}
