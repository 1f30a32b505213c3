//! Generates the code of the protocol's messages and of the services. `protox`
//! reads the .proto files, so nobody needs `protoc`.

use std::env;
use std::error::Error;
use std::path::Path;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    println!("cargo:rerun-if-changed=proto");

    // The trunk's messages: the library reads and writes the stream itself.
    let messages = tonic_prost_build::configure().build_client(false).build_server(false);
    // Once in a trunk's life, and much larger than all other frames.
    let messages = messages.boxed(".trunkline.broker.v1.Frame.control.hello");
    compile(&["trunkline/broker/v1/broker.proto"], "proto", messages.bytes("."), &out)?;

    let services = ["trunkline/log/v1/log.proto", "trunkline/state/v1/state.proto"];
    compile(&services, "proto", tonic_prost_build::configure().bytes("."), &out)?;

    let go_plugin = ["goplugin/plugin.proto"];
    compile(&go_plugin, "proto", tonic_prost_build::configure().bytes("."), &out)?;
    describe(&go_plugin, "proto", &out.join("goplugin.bin"))?;

    if Path::new("examples/demo.proto").exists() {
        compile_for_examples_and_tests(&out)?;
    }
    if Path::new("benches/peers/peers.proto").exists() {
        println!("cargo:rerun-if-changed=benches/peers/peers.proto");
        let bytes = tonic_prost_build::configure().bytes(".");
        compile(&["peers.proto"], "benches/peers", bytes, &out)?;
    }
    if Path::new("tests/peers/subject.proto").exists() {
        compile_for_peers_in_go(&out)?;
    }
    Ok(())
}

/// What the tests speak with programs in Go: their own contract, and that of go-plugin's
/// examples `grpc` and `negotiated`.
fn compile_for_peers_in_go(out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=tests/peers/subject.proto");
    println!("cargo:rerun-if-changed=tests/peers/examples");
    compile(&["subject.proto"], "tests/peers", tonic_prost_build::configure(), out)?;
    let kv = folder(out, "kv")?;
    compile(&["kv.proto"], "tests/peers/examples", tonic_prost_build::configure(), &kv)
}

/// What examples and tests speak, and the trunk as any other gRPC stack would generate
/// it. In a checkout only: the package that users build has no examples and no tests.
fn compile_for_examples_and_tests(out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=examples/demo.proto");
    println!("cargo:rerun-if-changed=examples/counter.proto");
    println!("cargo:rerun-if-changed=examples/stress/stress.proto");
    compile(&["demo.proto"], "examples", tonic_prost_build::configure(), out)?;
    let counter = folder(out, "counter")?;
    compile(&["counter.proto"], "examples", tonic_prost_build::configure(), &counter)?;
    describe(&["counter.proto"], "examples", &counter.join("proto.bin"))?;
    let bytes = tonic_prost_build::configure().bytes(".");
    compile(&["stress.proto"], "examples/stress", bytes, out)?;
    let terraform = ["terraform/tfplugin5.proto", "terraform/tfplugin6.proto"];
    compile(&terraform, "proto", tonic_prost_build::configure().bytes("."), out)?;
    let foreign = folder(out, "foreign")?;
    let configured = tonic_prost_build::configure();
    compile(&["trunkline/broker/v1/broker.proto"], "proto", configured, &foreign)?;
    compile(&["goplugin/plugin.proto"], "proto", tonic_prost_build::configure(), &foreign)
}

/// For packages that share their name with another: go-plugin's examples are all `proto`.
fn folder(out: &Path, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let folder = out.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Writes the descriptors, for those who ask a plugin's reflection what it serves.
fn describe(files: &[&str], root: &str, to: &Path) -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([root])?;
    let compiled = compiler.include_imports(true).open_files(files)?;
    Ok(std::fs::write(to, compiled.encode_file_descriptor_set())?)
}

fn compile(
    files: &[&str],
    root: &str,
    builder: tonic_prost_build::Builder,
    out: &Path,
) -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(files, [root])?;
    builder.out_dir(out).compile_fds(descriptors)?;
    Ok(())
}
