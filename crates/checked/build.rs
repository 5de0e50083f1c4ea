//! Switches the `sync` room of the sources that this package shares with its original.

fn main() {
    println!("cargo:rustc-cfg=refolio_model");
    println!("cargo:rustc-cfg=refolio_explore");
    println!("cargo:rerun-if-changed=../build.rs");
}
