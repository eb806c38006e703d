//! Histories in files: a line of JSON with the objects, then one for each operation.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use crate::history::History;

impl History {
    /// Writes the history to a file, which is replaced if it is there.
    ///
    /// # Errors
    /// When the file cannot be written; what was written until then stays.
    pub fn write_to(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        serde_json::to_writer(&mut file, &self.objects)?;
        for operation in &self.operations {
            file.write_all(b"\n")?;
            serde_json::to_writer(&mut file, operation)?;
        }
        file.write_all(b"\n")?;
        file.flush()
    }

    /// Reads a history that [`write_to`](Self::write_to) wrote.
    ///
    /// # Errors
    /// When the file cannot be read, or is not such a history.
    pub fn read_from(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut lines = BufReader::new(File::open(path)?).lines();
        let first = lines.next().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the file is empty"))??;
        let mut history = Self { objects: serde_json::from_str(&first)?, operations: Vec::new() };
        for line in lines {
            history.operations.push(serde_json::from_str(&line?)?);
        }
        let n_objects = history.objects.len();
        if history.operations.iter().any(|operation| operation.object.0 as usize >= n_objects) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an operation is of an object that is not listed"));
        }
        Ok(history)
    }
}
