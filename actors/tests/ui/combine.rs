extern crate greenroom_actors as greenroom;

use greenroom_macros::combine;

#[combine]
fn by_value(there: u64, comes: u64) -> u64 {
    there + comes
}

#[combine]
fn of_two_types(there: &mut u64, comes: u32) {
    *there += u64::from(comes);
}

#[combine]
fn not_to_be_changed(there: &u64, comes: u64) {
    let _ = there + comes;
}

#[combine]
fn of_any_type<T>(there: &mut T, comes: T) {
    *there = comes;
}

#[combine]
fn of_three(there: &mut u64, comes: u64, more: u64) {
    *there += comes + more;
}

#[combine(name = "sum")]
fn with_settings(there: &mut u64, comes: u64) {
    *there += comes;
}

fn main() {}
