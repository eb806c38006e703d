//! A text, and how it is cut into parts.

use std::path::PathBuf;
use std::{fmt, fs};

use super::{Failure, Part};

/// A text whose words are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// A file.
    File(PathBuf),
    /// So many words that follow from a seed; the k-th most frequent one is about 1/k as frequent as the first.
    Generated {
        /// The seed.
        seed: u64,
        /// The number of words.
        words: u64,
    },
}

impl Text {
    /// Cuts the text into at most so many parts, at least one, of about the same size; none if there is nothing in it.
    ///
    /// # Errors
    /// When the file is not there.
    pub fn parts(&self, parts: u64) -> Result<Vec<Part>, Failure> {
        let cut = |length: u64| {
            let begin = move |part: u64| length / parts * part + length % parts * part / parts;
            (0..parts).map(move |part| begin(part)..begin(part + 1)).filter(|range| !range.is_empty())
        };
        match self {
            Self::File(path) => {
                // Whole, since whoever reads it may be a process with another working directory.
                let whole = fs::canonicalize(path).map_err(|error| Failure::read(path, &error))?;
                let bytes = fs::metadata(&whole).map_err(|error| Failure::read(path, &error))?.len();
                Ok(cut(bytes).map(|bytes| Part::File { path: whole.clone(), bytes }).collect())
            }
            Self::Generated { seed, words } => {
                Ok(cut(*words).map(|words| Part::Generated { seed: *seed, words }).collect())
            }
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Generated { seed, words } => write!(f, "{words} words of seed {seed}"),
        }
    }
}
