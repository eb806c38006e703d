use greenroom_macros::cloud;

#[cloud]
fn apply<F: Fn(u64) -> u64>(function: F) -> u64 {
    function(1)
}

fn main() {}
