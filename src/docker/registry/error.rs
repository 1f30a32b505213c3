//! Why there is no plugin of a name.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::docker::discovery::FindError;
use crate::docker::error::CallError;
use crate::docker::tls::TlsError;

/// Why there is no plugin of a name that can be used. Cheap to clone: all who have waited for
/// the same activation get the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GetError {
    /// It was not found.
    Find(Arc<FindError>),
    /// Its address cannot be used.
    Tls {
        /// The plugin.
        name: String,
        /// Why not.
        source: Arc<TlsError>,
    },
    /// It did not say what it implements.
    Activate {
        /// The plugin.
        name: String,
        /// Why not.
        source: Arc<CallError>,
    },
    /// It does not implement what was asked for.
    NotImplemented {
        /// The plugin.
        name: String,
        /// The interface.
        interface: String,
    },
}

impl GetError {
    /// Whether there is no plugin of this name.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Find(error) if error.is_not_found())
    }
}

impl From<FindError> for GetError {
    fn from(error: FindError) -> Self {
        Self::Find(Arc::new(error))
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find(error) => error.fmt(f),
            Self::Tls { name, .. } => write!(f, "the plugin {name:?} cannot be reached by TLS"),
            Self::Activate { name, .. } => write!(f, "the plugin {name:?} cannot be activated"),
            Self::NotImplemented { name, interface } => {
                write!(f, "the plugin {name:?} does not implement {interface:?}")
            }
        }
    }
}

// By hand: the causes are shared, and should be found as what they are.
impl Error for GetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Find(error) => error.source(),
            Self::Tls { source, .. } => Some(&**source),
            Self::Activate { source, .. } => Some(&**source),
            Self::NotImplemented { .. } => None,
        }
    }
}
