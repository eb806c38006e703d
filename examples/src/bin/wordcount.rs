//! Counting words: map-reduce over texts, with cloud threads that merge what they count into a shared map.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use greenroom_examples::backend;
use greenroom_examples::wordcount::{Counts, Failure, Part, Text, shared, threads};
use serde_json::json;

/// Counts words with cloud threads, and beside it on plain threads; the results must be the same.
#[derive(Debug, Parser)]
struct Arguments {
    /// Text files, which the cloud threads must see under the same paths; a generated text if there is none.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Words of the generated text.
    #[arg(long, default_value_t = 2_000_000)]
    words: u64,
    /// Seed of the generated text.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Parts that each text is cut into: a cloud thread each.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    parts: u64,
    /// Parts that are counted at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    workers: u32,
    /// The most frequent words to print.
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One of the two computations, done.
struct Run {
    counts: Counts,
    seconds: f64,
}

impl Run {
    fn of(count: impl FnOnce() -> Result<Counts, Failure>) -> Result<Self, Failure> {
        let start = Instant::now();
        let counts = count()?;
        Ok(Self { counts, seconds: start.elapsed().as_secs_f64() })
    }
}

#[greenroom::main]
fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let mut texts: Vec<_> = arguments.files.iter().cloned().map(Text::File).collect();
    if texts.is_empty() {
        texts.push(Text::Generated { seed: arguments.seed, words: arguments.words });
    }
    let parts: Vec<_> = texts.iter().map(|text| text.parts(arguments.parts)).collect::<Result<_, _>>()?;
    let parts: Vec<Part> = parts.concat();

    let workers = arguments.workers as usize;
    let objects = Run::of(|| shared::run(&parts, workers))?;
    let plain = Run::of(|| threads::run(&parts, workers))?;
    let top = most_frequent(&objects.counts, arguments.top);
    let words: u64 = objects.counts.values().sum();
    if arguments.json {
        let texts: Vec<_> = texts.iter().map(Text::to_string).collect();
        let report = json!({
            "application": "wordcount", "backend": backend(), "texts": texts, "parts": parts.len(),
            "workers": workers, "words": words, "distinct": objects.counts.len(), "top": top,
            "exact": objects.counts == plain.counts, "greenroom": { "seconds": objects.seconds },
            "threads": { "seconds": plain.seconds },
        });
        println!("{report}");
    } else {
        for text in &texts {
            println!("{text}");
        }
        println!("{words} words, {} distinct, in {} parts, {workers} at a time\n", objects.counts.len(), parts.len());
        for (word, count) in top {
            println!("{count:>10} {word}");
        }
        let [objects, plain] = [objects.seconds, plain.seconds];
        println!("\ntime, s: {objects:.3} with cloud threads ({}), {plain:.3} on plain threads", backend());
    }
    agree(&objects.counts, &plain.counts)
}

/// The words with the highest counts; of those with the same count, in the order of the alphabet.
fn most_frequent(counts: &Counts, n_words: usize) -> Vec<(&str, u64)> {
    let mut words: Vec<_> = counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
    words.sort_by_key(|(_, count)| Reverse(*count));
    words.truncate(n_words);
    words
}

fn agree(shared: &Counts, plain: &Counts) -> Result<(), Failure> {
    let differing = shared.keys().chain(plain.keys()).find(|word| shared.get(*word) != plain.get(*word));
    let Some(word) = differing else { return Ok(()) };
    let of = |counts: &Counts| counts.get(word).copied().unwrap_or_default();
    Err(Failure::Disagreement { word: word.clone(), shared: of(shared), plain: of(plain) })
}
