//! Generates the gRPC stubs; `protox` compiles the .proto, so no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/greenroom.proto");
    let descriptors = protox::compile(["proto/greenroom.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
