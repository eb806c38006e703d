//! The command `greenroom`: the operator's tool with the built-in object types.

use std::process::ExitCode;

fn main() -> ExitCode {
    greenroom::stock_main()
}
