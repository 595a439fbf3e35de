//! A new migration is a change of this crate, which has them all inside.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
