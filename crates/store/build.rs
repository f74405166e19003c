//! The migrations are built into the crate; cargo sees only here that they change.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
