//! TLS to plugins on TCP, with the options that Docker's spec files have.

mod error;
mod files;
mod insecure;
mod options;

#[cfg(test)]
mod tests;

pub use error::TlsError;
pub use options::ClientAuth;
pub use options::MinVersion;
pub use options::TlsOptions;
