//! The timeline on its way to a file or to standard output.

use crate::output::Failure;
use ::hunt::{Form, Hit, Summary, Timeline};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Hits are written as they come: to a file beside the one that is wanted, which takes its name when all is
/// there. Who stops before has the part so far under the name with `.partial`, and the old file as it was.
pub struct Saved {
    timeline: Option<Timeline<Box<dyn Write>>>,
    /// The file as it is wanted, and as it is until then.
    paths: Option<(PathBuf, PathBuf)>,
    /// The reader of standard output went away.
    closed: bool,
}

impl Saved {
    pub fn open(form: Option<Form>, path: Option<&Path>) -> Result<Saved, Failure> {
        let Some(form) = form else {
            return Ok(Saved { timeline: None, paths: None, closed: false });
        };
        let (out, paths): (Box<dyn Write>, _) = match path {
            None => (Box::new(BufWriter::new(io::stdout())), None),
            Some(path) => {
                let mut partial: OsString = path.as_os_str().to_owned();
                partial.push(".partial");
                let partial = PathBuf::from(partial);
                let file = File::create(&partial).map_err(|error| failed(&partial, &error))?;
                (Box::new(BufWriter::new(file)), Some((path.to_owned(), partial)))
            }
        };
        let mut saved = Saved { timeline: None, paths, closed: false };
        match Timeline::begin(form, out) {
            Ok(timeline) => saved.timeline = Some(timeline),
            Err(error) => saved.look_at(&error)?,
        }
        Ok(saved)
    }

    /// Writes hits and counts them.
    pub fn write(&mut self, hits: &mut Vec<Hit>, summary: &mut Summary) -> Result<(), Failure> {
        for hit in hits.drain(..) {
            summary.add(&hit);
            let done = match &mut self.timeline {
                Some(timeline) if !self.closed => timeline.write(&hit),
                _ => Ok(()),
            };
            if let Err(error) = done {
                self.look_at(&error)?;
            }
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<(), Failure> {
        if let Some(timeline) = self.timeline.take()
            && let Err(error) = timeline.finish()
        {
            self.look_at(&error)?;
        }
        match &self.paths {
            Some((path, partial)) => fs::rename(partial, path).map_err(|e| failed(path, &e)),
            None => Ok(()),
        }
    }

    /// A reader that went away (`| head`) is not an error.
    fn look_at(&mut self, error: &io::Error) -> Result<(), Failure> {
        match &self.paths {
            None if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            None => Err(failed(Path::new("-"), error)),
            Some((_, partial)) => Err(failed(partial, error)),
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::input(format!("cannot write `{}`: {error}", path.display()))
        .hint("name another file with --save, or make room")
}
