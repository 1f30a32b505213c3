//! go-plugin's wire, in both roles: a host that drives plugins built on
//! hashicorp/go-plugin, and a plugin that runs under its hosts.

mod knock;
mod mux;
mod mux_dialer;
mod wire;
