//! The command line.

use shared::clock::{Clock, SystemClock};

use crate::Result;

/// What `--help` says.
pub(crate) const HELP: &str = "\
Tries for long what must hold every time; `make soak ARGS=\"...\"` runs it.

  --races N      refresh races: one token, 20 times at once, to 5 processes (1000)
  --mutants N    access tokens that nobody may accept (100000)
  --kids N       tokens under key ids that no provider has (10000)
  --requests N   requests of tenants to others' things (100000)
  --seed N       chooses the mutants, requests and paces (by the clock; it is said at the start)
  --only LIST    parts, by comma: refresh, tokens, kids, lockout, isolation
  --help         this text

The last line is `soak: all held`, or says what broke; then it exits with 1.
It wants the machine to itself: a 503 for want of time counts as broken.
";

/// The parts, in the order in which they run.
const PARTS: [&str; 5] = ["refresh", "tokens", "kids", "lockout", "isolation"];

/// What is asked for.
pub(crate) struct Args {
    /// How many refresh races.
    pub(crate) races: usize,
    /// How many mutants.
    pub(crate) mutants: usize,
    /// How many tokens under random key ids.
    pub(crate) kids: usize,
    /// How many requests over the tenants' borders.
    pub(crate) requests: usize,
    /// What chooses the mutants, the requests and when tokens come.
    pub(crate) seed: u64,
    only: Vec<String>,
}

impl Args {
    /// Reads the command line; nothing if it asks for help.
    ///
    /// # Errors
    /// It has an option that is not known, or a value that does not fit.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let seed = SystemClock.now().unix_timestamp().unsigned_abs();
        let (kids, requests, only) = (10_000, 100_000, Vec::new());
        let mut args = Self { races: 1000, mutants: 100_000, kids, requests, seed, only };
        while let Some(option) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--help" | "-h" => return Ok(None),
                "--races" => args.races = value()?.parse()?,
                "--mutants" => args.mutants = value()?.parse()?,
                "--kids" => args.kids = value()?.parse()?,
                "--requests" => args.requests = value()?.parse()?,
                "--seed" => args.seed = value()?.parse()?,
                "--only" => args.only = value()?.split(',').map(str::to_owned).collect(),
                _ => return Err(format!("{option} is not an option; see --help").into()),
            }
        }
        if let Some(name) = args.only.iter().find(|name| !PARTS.contains(&name.as_str())) {
            return Err(format!("{name} is not a part: {}", PARTS.join(", ")).into());
        }
        Ok(Some(args))
    }

    /// The parts that are asked for.
    pub(crate) fn parts(&self) -> Vec<&'static str> {
        let wanted = |part: &&str| self.only.is_empty() || self.only.iter().any(|name| name == part);
        PARTS.into_iter().filter(wanted).collect()
    }
}
