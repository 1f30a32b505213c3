//! What the plugin's end of a service runs over.

use bytes::Bytes;
use http_body::Body;
use tonic::client::GrpcService;
use tonic::codegen::StdError;

/// Anything that gRPC calls can be made on: a sub-channel of the trunk, a tonic
/// channel, or a tonic server value in the same process.
///
/// Implemented for every type that qualifies; there is nothing to implement by
/// hand. It stands for the bounds that tonic's generated clients ask for.
pub trait Channel:
    GrpcService<
        tonic::body::Body,
        Error: Into<StdError> + Send,
        ResponseBody: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> Channel for T where
    T: GrpcService<
            tonic::body::Body,
            Error: Into<StdError> + Send,
            ResponseBody: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static
{
}
