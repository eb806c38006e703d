extern crate greenroom_actors as greenroom;

#[greenroom_macros::main]
fn main(count: u64) {}
