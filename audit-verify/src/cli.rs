//! The command line.

mod arguments;
mod inputs;
mod progress;
mod report;

use audit_verify::{Anchors, Examination, Keys, Untrusted, Verdict};

pub(crate) use arguments::{Arguments, HELP};
pub(crate) use report::{judged, report};

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Intact, and proven but for as many records as were allowed.
    Proven,
    /// Something is not what was recorded.
    Tampered,
    /// The arguments or an input cannot be read.
    Unusable,
    /// Intact in itself, but more of it is unproven than was allowed.
    Unproven,
    /// A checkpoint is not to be believed.
    Untrusted,
}

impl Outcome {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Tampered => 1,
            Self::Unusable => 2,
            Self::Unproven => 3,
            Self::Untrusted => 4,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Tampered => "tampered",
            Self::Unusable => "unusable",
            Self::Unproven => "unproven",
            Self::Untrusted => "untrusted",
        }
    }
}

/// Why there is no verdict.
#[derive(Debug)]
pub(crate) enum Fault {
    Unusable(String),
    Untrusted(Untrusted),
}

impl Fault {
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Unusable(_) => Outcome::Unusable,
            Self::Untrusted(_) => Outcome::Untrusted,
        }
    }
}

/// Reads everything, and says what was found.
pub(crate) fn run(arguments: &Arguments) -> Result<Verdict, Fault> {
    let mut keys = Keys::default();
    for path in &arguments.keys {
        inputs::each_document(path, |json| keys.add_set(json).map_err(Fault::Unusable))?;
    }
    let mut anchors = Anchors::of(arguments.tenant.clone());
    for path in &arguments.checkpoints {
        inputs::each_checkpoint(path, |checkpoint| anchors.add(checkpoint, &keys).map_err(Fault::Untrusted))?;
    }
    let mut examination = Examination::new(anchors, arguments.bounds);
    let mut progress = progress::Progress::new(arguments.progress);
    for export in &arguments.exports {
        let goes_on = inputs::each_line(export, |line, bytes| {
            progress.note(examination.checked(), bytes);
            examination.line(line)
        })?;
        if !goes_on {
            break;
        }
    }
    progress.end(examination.checked());
    Ok(examination.end())
}
