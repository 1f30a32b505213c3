//! What the figures were measured on.

use std::fs;
use std::process::Command;

/// Processor, system and tools, as far as they can be found out: their names, and what
/// they are.
pub fn describe() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map(|number| number.to_string());
    let described = [
        ("cpu", cpu()),
        ("cores", cores.ok()),
        ("memory", line_of("/proc/meminfo", "MemTotal:")),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(trimmed)),
        ("rustc", version_of("rustc", "--version")),
        ("go", version_of("go", "version")),
    ];
    described.into_iter().filter_map(|(name, what)| Some((name, what?))).collect()
}

fn cpu() -> Option<String> {
    line_of("/proc/cpuinfo", "model name")
        .map(|name| name.trim_start_matches([':', ' ']).to_owned())
}

fn line_of(file: &str, start: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(start)).map(|rest| rest.trim().to_owned())
}

fn version_of(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    // It says its name first.
    let said = said.trim().trim_start_matches(program).trim_start_matches(" version");
    Some(said.trim().to_owned())
}

fn trimmed(text: String) -> String {
    text.trim().to_owned()
}
