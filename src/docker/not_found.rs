//! What is not there, whatever says so.

use std::error::Error;
use std::io;

use crate::docker::discovery::FindError;
use crate::docker::error::CallError;
use crate::docker::registry::GetError;

/// Whether an error says that something is not there, or one of its causes does: that there
/// is no plugin of a name, or that a plugin answered with the status 404.
///
/// ```
/// # fn explain(error: &(dyn std::error::Error + 'static)) {
/// if trunkline::docker::is_not_found(error) {
///     eprintln!("there is no such thing: {error}");
/// }
/// # }
/// ```
#[must_use]
pub fn is_not_found(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let call = error.downcast_ref().is_some_and(CallError::is_not_found);
        let find = error.downcast_ref().is_some_and(FindError::is_not_found);
        let get = error.downcast_ref().is_some_and(GetError::is_not_found);
        if call || find || get {
            return true;
        }
        // An error of I/O does not name what it wraps as its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn refused(status: StatusCode) -> CallError {
        CallError::Refused { method: "X.Y".into(), status, message: "gone".into() }
    }

    #[test]
    fn not_found_is_seen_through_what_wraps_it() {
        let wrapped = io::Error::other(io::Error::other(refused(StatusCode::NOT_FOUND)));
        assert!(is_not_found(&wrapped));
        assert!(!is_not_found(&io::Error::other(refused(StatusCode::GONE))));
        assert!(!is_not_found(&io::Error::from(io::ErrorKind::NotFound)));
    }
}
