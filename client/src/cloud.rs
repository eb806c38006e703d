//! Cloud threads: runs of a function, here or in a serverless function.

pub(crate) mod attempt;
pub(crate) mod ending;

#[cfg(test)]
mod tests;
