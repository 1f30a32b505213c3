//! The generated code of what both languages speak.

#![allow(missing_docs, reason = "generated")]

pub mod interop {
    include!(concat!(env!("OUT_DIR"), "/interop.v1.rs"));
}

/// Of go-plugin's example `bidirectional`.
pub mod counter {
    include!(concat!(env!("OUT_DIR"), "/counter/proto.rs"));
}

/// Of go-plugin's examples `grpc` and `negotiated`.
pub mod kv {
    include!(concat!(env!("OUT_DIR"), "/kv/proto.rs"));
}

/// go-plugin's own services, for peers that lie.
pub mod go_plugin {
    include!(concat!(env!("OUT_DIR"), "/foreign/plugin.rs"));
}
