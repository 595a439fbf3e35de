//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::measure::Plan;
use crate::setting::variable;
use crate::{Result, scenarios};

/// What `--help` says.
pub(crate) const HELP: &str = "\
Measures release bootstraps against floors; see bench/README.md.

Usage: cargo run --release -p bench -- [options]

  --quick            a smoke run: few starts and invocations, figures of no worth
  --only LIST        scenarios, by comma: init, live, list, create, session, login,
                     signing, provider, trail, timing, size
  --blocks N         how often each side has its turn (6; at least 3)
  --starts N         starts of each function, over all blocks (30)
  --invocations N    warm invocations in each block (300; logins a tenth; timing 200 at least)
  --rtt-ms MS        how far away the database is put (1)
  --json PATH        where the JSON goes (TARGET/bench.json)
  --target PATH      the target directory ($CARGO_TARGET_DIR, or target)
  --help             this text
";

/// What is asked for.
pub(crate) struct Args {
    /// Which scenarios; all if empty.
    pub(crate) only: Vec<String>,
    /// How often each side has its turn.
    pub(crate) blocks: usize,
    /// Starts of each function, over all blocks.
    pub(crate) starts: usize,
    /// Warm invocations in each block.
    pub(crate) invocations: usize,
    /// How far away the database is put.
    pub(crate) rtt: Duration,
    /// Where the JSON goes.
    pub(crate) json: PathBuf,
    /// The target directory.
    pub(crate) target: PathBuf,
}

impl Args {
    /// Reads the command line; nothing if it asks for help.
    ///
    /// # Errors
    /// It has an option that is not known, or a value that does not fit.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let target = PathBuf::from(variable("CARGO_TARGET_DIR").unwrap_or_else(|| "target".to_owned()));
        let rtt = Duration::from_millis(1);
        let json = PathBuf::new();
        let mut args = Self { only: Vec::new(), blocks: 6, starts: 30, invocations: 300, rtt, json, target };
        while let Some(option) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => (args.blocks, args.starts, args.invocations) = (3, 6, 20),
                "--only" => args.only = value()?.split(',').map(str::to_owned).collect(),
                "--blocks" => args.blocks = value()?.parse()?,
                "--starts" => args.starts = value()?.parse()?,
                "--invocations" => args.invocations = value()?.parse()?,
                "--rtt-ms" => args.rtt = Duration::try_from_secs_f64(value()?.parse::<f64>()? / 1000.0)?,
                "--json" => args.json = value()?.into(),
                "--target" => args.target = value()?.into(),
                _ => return Err(format!("{option} is not an option; see --help").into()),
            }
        }
        if let Some(name) = args.only.iter().find(|name| !scenarios::NAMES.contains(&name.as_str())) {
            return Err(format!("{name} is not a scenario: {}", scenarios::NAMES.join(", ")).into());
        }
        if args.blocks < 3 || args.starts < args.blocks || args.invocations < 10 {
            return Err("at least 3 blocks, a start in each, 10 invocations".into());
        }
        if args.json.as_os_str().is_empty() {
            args.json = args.target.join("bench.json");
        }
        Ok(Some(args))
    }

    /// Whether a scenario is asked for.
    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario)
    }

    /// How much of a quick invocation is measured. Postgres plans a statement
    /// anew in its first five executions, so even a smoke run warms up.
    pub(crate) fn plan(&self) -> Plan {
        Plan { blocks: self.blocks, warm_up: self.invocations.div_ceil(10).max(20), invocations: self.invocations }
    }

    /// How much of a password hash is measured.
    pub(crate) fn slow_plan(&self) -> Plan {
        Plan { blocks: self.blocks, warm_up: 2, invocations: self.invocations.div_ceil(10).max(5) }
    }
}
