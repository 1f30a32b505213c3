//! The messages of Docker's `VolumeDriver`, as its documentation has them. The client has
//! them, too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The interface.
pub const VOLUME_DRIVER: &str = "VolumeDriver";

/// Options of a volume: names and values that the driver understands.
pub type Opts = BTreeMap<String, String>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Create {
    pub name: String,
    /// Go writes none as `null`.
    #[serde(default)]
    pub opts: Option<Opts>,
}

/// The arguments of `Get`, `Remove` and `Path`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Named {
    pub name: String,
}

/// The arguments of `Mount` and `Unmount`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Use {
    pub name: String,
    /// Who uses the volume: a container, as a rule.
    #[serde(rename = "ID")]
    pub id: String,
}

/// What `Path` and `Mount` answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mounted {
    #[serde(default)]
    pub mountpoint: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Got {
    pub volume: Option<Volume>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    #[serde(default)]
    pub volumes: Option<Vec<Volume>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mountpoint: String,
    /// As in RFC 3339. Docker takes no empty text for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Capable {
    pub capabilities: Capabilities,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Capabilities {
    #[serde(default)]
    pub scope: String,
}
