//! A Terraform provider.

#[allow(dead_code, unused_imports, reason = "each of the two programs uses its part")]
#[path = "../tfplugin/mod.rs"]
mod tfplugin;

fn main() {}
