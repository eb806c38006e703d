//! A part of a text, and the words in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Failure;

/// How often each word was seen.
pub type Counts = BTreeMap<String, u64>;

/// So many words are drawn from one stream of random numbers: any of them can be had by drawing fewer than these.
const BLOCK: u64 = 1_000;
/// The generated words are numbers below a power of two, spelled out.
const WORD_BITS: u32 = 14;

/// A part of a text, as it travels to whoever counts its words: not the text itself, but where to find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The lines of a file whose first byte lies in this range. Whoever reads them must see the file under that path.
    File {
        /// The file.
        path: PathBuf,
        /// The range.
        bytes: Range<u64>,
    },
    /// Some words of a generated text.
    Generated {
        /// The text's seed.
        seed: u64,
        /// Their places in it.
        words: Range<u64>,
    },
}

impl Part {
    /// Counts its words.
    ///
    /// A word is what stands between white space, in lower case, without what is neither letter nor digit at either end.
    /// Bytes that are no text count as `\u{FFFD}`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn count(&self) -> Result<Counts, Failure> {
        let mut counts = Counts::new();
        match self {
            Self::File { path, bytes } => {
                read(path, bytes, &mut counts).map_err(|error| Failure::read(path, &error))?;
            }
            Self::Generated { seed, words } => generate(*seed, words, &mut counts),
        }
        Ok(counts)
    }
}

fn read(path: &Path, bytes: &Range<u64>, counts: &mut Counts) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut position, mut line) = (bytes.start, Vec::new());
    if let Some(before) = position.checked_sub(1) {
        // The rest of a line that began before belongs to the part before; of one that ends just here, that is its end.
        position = file.seek(SeekFrom::Start(before))?;
        position += file.read_until(b'\n', &mut line)? as u64;
    }
    while position < bytes.end {
        line.clear();
        let length = file.read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        position += length as u64;
        count_line(&String::from_utf8_lossy(&line), counts);
    }
    Ok(())
}

fn count_line(line: &str, counts: &mut Counts) {
    for word in line.split_whitespace() {
        let word = word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
        if !word.is_empty() {
            *counts.entry(word).or_default() += 1;
        }
    }
}

fn generate(seed: u64, words: &Range<u64>, counts: &mut Counts) {
    for block in words.start / BLOCK..words.end.div_ceil(BLOCK) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(block);
        for place in block * BLOCK..words.end.min((block + 1) * BLOCK) {
            // As many words are drawn between 2^n and 2^(n + 1) for each n, so their frequency falls as 1/k. In whole
            // numbers, since the rounding of others may be another on another machine.
            let octave = 1 << random.random_range(0..WORD_BITS);
            let number = random.random_range(octave..2 * octave);
            if words.contains(&place) {
                count_line(&spell(number), counts);
            }
        }
    }
}

/// A word of its own for each number above 0.
fn spell(mut number: u32) -> String {
    const SYLLABLES: [&str; 16] =
        ["ka", "re", "mi", "to", "lu", "san", "ve", "ni", "do", "gu", "bel", "ri", "po", "sha", "ze", "fin"];
    let mut word = String::new();
    while number > 0 {
        word.push_str(SYLLABLES[(number % 16) as usize]);
        number /= 16;
    }
    word
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::super::Text;
    use super::*;

    fn counts(text: &Text, parts: u64) -> Counts {
        let mut counts = Counts::new();
        for part in text.parts(parts).expect("the text is there") {
            for (word, count) in part.count().expect("the part can be read") {
                *counts.entry(word).or_default() += count;
            }
        }
        counts
    }

    #[test]
    fn a_word_is_what_stands_between_white_space() {
        let mut counts = Counts::new();
        count_line(
            "Green room, green-room: the ROOM\u{2026} \u{c4}rger \u{201e}\u{e4}rger\u{201c} -- 7\tdon't",
            &mut counts,
        );
        let expected = [("7", 1), ("don't", 1), ("green", 1), ("green-room", 1), ("room", 2), ("the", 1), ("ärger", 2)];
        assert_eq!(counts, expected.map(|(word, count)| (word.to_owned(), count)).into());
    }

    #[test]
    fn parts_together_are_the_whole_file_wherever_it_is_cut() {
        let text = "one two\n\ntwo three three\nfour\u{20ac}four four \n four\nfive five five five five";
        let path = std::env::temp_dir().join(format!("greenroom-wordcount-{}.txt", std::process::id()));
        fs::write(&path, text).expect("the file can be written");
        let mut expected = Counts::new();
        count_line(text, &mut expected);
        for parts in 1..text.len() as u64 + 5 {
            assert_eq!(counts(&Text::File(path.clone()), parts), expected, "{parts} parts");
        }
        fs::remove_file(&path).expect("the file is there");
    }

    #[test]
    fn a_generated_text_does_not_depend_on_its_parts() {
        let generated = |seed, words, parts| counts(&Text::Generated { seed, words }, parts);
        let whole = generated(7, 3_500, 1);
        assert_eq!(whole.values().sum::<u64>(), 3_500);
        for parts in [2, 3, 7, 64] {
            assert_eq!(generated(7, 3_500, parts), whole, "{parts} parts");
        }
        assert_ne!(generated(8, 3_500, 1), whole);
        assert!(generated(7, 0, 4).is_empty());
    }

    #[test]
    fn each_number_is_another_word() {
        let words: BTreeSet<String> = (1..1 << WORD_BITS).map(spell).collect();
        assert_eq!(words.len(), (1 << WORD_BITS) - 1);
    }
}
