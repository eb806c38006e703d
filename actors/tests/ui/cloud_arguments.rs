use greenroom_macros::cloud;

#[cloud]
fn length(text: &str) -> usize {
    text.len()
}

#[cloud]
fn call(function: impl Fn() -> u64) -> u64 {
    function()
}

#[cloud]
fn pair((left, right): (u64, u64)) -> u64 {
    left + right
}

#[cloud]
unsafe fn dangerous() {}

#[cloud(retries = 3)]
fn again() {}

fn main() {}
