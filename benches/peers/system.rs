//! The systems that are compared.

use crate::plan::Phase;

/// A way to call back from a child process into its parent, in the order of the table.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[value(rename_all = "snake_case")]
pub enum System {
    /// 64 bytes to and fro on a Unix socket: what the kernel and tokio take.
    UdsFloor,
    /// The same on current-thread runtimes.
    UdsFloorCt,
    /// A dedicated connection of tonic's over a Unix socket.
    TonicDirect,
    /// The same on current-thread runtimes.
    TonicDirectCt,
    /// Trunkline, as its users get it by default.
    Trunkline,
    /// The same on current-thread runtimes.
    TrunklineCt,
    /// A dedicated connection of grpc-go's over a Unix socket.
    GrpcgoDirect,
    /// hashicorp/go-plugin's broker: a socket for each sub-channel.
    Goplugin,
    /// The same, multiplexed over one socket.
    GopluginMux,
    /// The same as the first, with mutual TLS.
    GopluginMtls,
    /// jhump/grpctunnel, reverse.
    Grpctunnel,
}

/// Of a tokio runtime, at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Multi,
    Current,
}

impl System {
    pub fn name(self) -> &'static str {
        match self {
            Self::UdsFloor => "uds_floor",
            Self::UdsFloorCt => "uds_floor_ct",
            Self::TonicDirect => "tonic_direct",
            Self::TonicDirectCt => "tonic_direct_ct",
            Self::Trunkline => "trunkline",
            Self::TrunklineCt => "trunkline_ct",
            Self::GrpcgoDirect => "grpcgo_direct",
            Self::Goplugin => "goplugin",
            Self::GopluginMux => "goplugin_mux",
            Self::GopluginMtls => "goplugin_mtls",
            Self::Grpctunnel => "grpctunnel",
        }
    }

    pub fn flavor(self) -> Flavor {
        match self {
            Self::UdsFloorCt | Self::TonicDirectCt | Self::TrunklineCt => Flavor::Current,
            _ => Flavor::Multi,
        }
    }

    pub fn is_go(self) -> bool {
        self >= Self::GrpcgoDirect
    }

    /// What is measured of it. A raw socket has no sub-channels.
    pub fn phases(self, quick: bool) -> &'static [Phase] {
        match self {
            Self::UdsFloor | Self::UdsFloorCt => &[Phase::Cold, Phase::Speed],
            Self::Trunkline | Self::TrunklineCt if !quick => {
                &[Phase::Cold, Phase::Speed, Phase::Idle, Phase::Scale]
            }
            _ => &[Phase::Cold, Phase::Speed, Phase::Idle],
        }
    }
}
