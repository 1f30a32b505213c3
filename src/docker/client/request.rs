//! What is asked of a plugin: requests, made of the name of a method and a body.

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Uri;
use http::Version;
use http::header::ACCEPT;
use http::uri::Authority;
use http::uri::PathAndQuery;
use http::uri::Scheme;
use serde::Serialize;

use crate::docker::address::Address;
use crate::docker::address::local_base;
use crate::docker::body::Body;
use crate::docker::error::CallError;
use crate::docker::wire::MEDIA_TYPE;

/// Makes the requests to one plugin.
#[derive(Clone, Debug)]
pub(super) struct RequestFactory {
    scheme: Scheme,
    authority: Authority,
}

impl RequestFactory {
    pub(super) fn new(address: &Address) -> Self {
        let (scheme, authority) = address.base();
        Self { scheme, authority }
    }

    /// For a transport that has no address.
    pub(super) fn local() -> Self {
        let (scheme, authority) = local_base();
        Self { scheme, authority }
    }

    /// `POST /<method>`, with what Docker's daemon sends: it accepts version 1.2, and does
    /// not say what type its own messages have.
    pub(super) fn request(&self, method: &str, body: Body) -> Result<Request<Body>, CallError> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path(method)?);
        let uri = Uri::from_parts(parts).map_err(|_| not_a_method(method))?;
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPE));
        Ok(request)
    }
}

/// The path of a method: its name, after a slash if it has none, and a query if there is
/// one, as in what a graph driver is sent. An escape in the name would reach another method
/// than the caller has named, or none.
fn path(method: &str) -> Result<PathAndQuery, CallError> {
    let target = method.strip_prefix('/').unwrap_or(method);
    let (name, query) = target.split_once('?').unwrap_or((target, ""));
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"._-/".contains(&c);
    if name.is_empty() || !name.bytes().all(is_plain) || query.contains('#') {
        return Err(not_a_method(method));
    }
    format!("/{target}").parse().map_err(|_| not_a_method(method))
}

fn not_a_method(method: &str) -> CallError {
    CallError::Method { method: method.to_owned() }
}

/// Arguments as JSON on one line. What is `null` is no body at all, as in Docker's calls.
pub(super) fn encode<T: Serialize + ?Sized>(method: &str, args: &T) -> Result<Bytes, CallError> {
    let line = encode_line(method, args)?;
    Ok(if line == "null\n" { Bytes::new() } else { line })
}

/// The same, and `null` is written, as in Docker's streams.
pub(super) fn encode_line<T: Serialize + ?Sized>(
    method: &str,
    args: &T,
) -> Result<Bytes, CallError> {
    let mut line = serde_json::to_vec(args)
        .map_err(|source| CallError::Encode { method: method.to_owned(), source })?;
    line.push(b'\n');
    Ok(line.into())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn request(address: &str, method: &str) -> Result<Request<Body>, CallError> {
        RequestFactory::new(&address.parse().unwrap()).request(method, Body::empty())
    }

    /// moby's TestHTTPTransport.
    #[test]
    fn a_request_is_what_docker_sends() {
        for method in ["Plugin.Activate", "/Plugin.Activate"] {
            let request = request("https://example.com:8443/x", method).unwrap();
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.uri(), "https://example.com:8443/Plugin.Activate");
            assert_eq!(request.headers()[ACCEPT], "application/vnd.docker.plugins.v1.2+json");
            assert_eq!(request.headers().len(), 1);
        }
        let local = request("unix:///run/x.sock", "VolumeDriver.List").unwrap();
        assert_eq!(local.uri(), "http://plugin.moby.localhost/VolumeDriver.List");
        let tcp = request("tcp://[::1]:80", "a/b?id=1&parent=%2f").unwrap();
        assert_eq!(tcp.uri(), "http://[::1]:80/a/b?id=1&parent=%2f");
    }

    #[test]
    fn what_is_no_method_is_not_sent() {
        for method in [
            "",
            "/",
            "a b",
            "?b",
            "a#b",
            "a?b#c",
            "a?b c",
            "a?\n",
            "a%2fb",
            "a\r\nX: y",
            "é",
            "http://x/",
        ] {
            let error = request("tcp://host", method).unwrap_err();
            assert!(matches!(error, CallError::Method { .. }), "{method:?}");
            assert!(error.has_not_begun());
        }
    }

    #[test]
    fn arguments_are_a_line_of_json_and_none_are_no_body() {
        assert_eq!(encode("m", &[1, 2]).unwrap(), "[1,2]\n");
        assert_eq!(encode("m", &()).unwrap(), "");
        assert_eq!(encode("m", &None::<u8>).unwrap(), "");
        assert_eq!(encode_line("m", &()).unwrap(), "null\n");
        let key_that_is_none = HashMap::from([((1, 2), 3)]);
        assert!(matches!(encode("m", &key_that_is_none), Err(CallError::Encode { .. })));
    }
}
