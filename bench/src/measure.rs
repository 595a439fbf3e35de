//! The measurements: what is compared takes turns in the same run, so that a
//! slow spell of the machine meets both sides.

use std::time::Duration;

use serde_json::Value;

use crate::function::{Function, Invocation};
use crate::setting::{Distance, Setting};
use crate::stats::Times;
use crate::{Result, progress};

/// Takes each answer's body.
type Answered<'a> = Box<dyn Fn(&Value) + 'a>;

/// What is invoked, and with what.
pub(crate) struct Subject<'a> {
    /// What the table calls it.
    pub(crate) label: &'static str,
    /// The function.
    pub(crate) function: &'static str,
    /// Where its database stands.
    pub(crate) distance: Distance,
    /// The floor that it is compared with.
    pub(crate) floor: Option<&'static str>,
    /// How many times the floor's time it may take.
    pub(crate) at_most: Option<f64>,
    /// How many round trips it may take.
    pub(crate) trips_at_most: Option<f64>,
    status: u64,
    event: Box<dyn Fn() -> Vec<u8> + 'a>,
    answered: Option<Answered<'a>>,
}

impl<'a> Subject<'a> {
    /// A function that is invoked with what `event` makes; any status but
    /// `status` ends the run.
    pub(crate) fn new(
        label: &'static str,
        function: &'static str,
        distance: Distance,
        status: u64,
        event: impl Fn() -> Vec<u8> + 'a,
    ) -> Self {
        let event = Box::new(event);
        Self {
            label,
            function,
            distance,
            floor: None,
            at_most: None,
            trips_at_most: None,
            status,
            event,
            answered: None,
        }
    }

    /// Compared with a floor at the same distance.
    pub(crate) fn against(self, floor: &'static str, at_most: Option<f64>) -> Self {
        Self { floor: Some(floor), at_most, ..self }
    }

    /// Hands each answer on, where the next event depends on it.
    pub(crate) fn answered(self, answered: impl Fn(&Value) + 'a) -> Self {
        Self { answered: Some(Box::new(answered)), ..self }
    }

    fn invoke(&self, function: &mut Function) -> Result<Invocation> {
        let invocation = function.expect(self.status, &(self.event)())?;
        if let Some(answered) = &self.answered {
            answered(&serde_json::from_str(&invocation.body)?);
        }
        Ok(invocation)
    }

    /// With a goal for its round trips.
    pub(crate) fn in_trips(self, at_most: u32) -> Self {
        Self { trips_at_most: Some(f64::from(at_most)), ..self }
    }
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// How often each subject has its turn.
    pub(crate) blocks: usize,
    /// Invocations before those that count, the first one included.
    pub(crate) warm_up: usize,
    /// Invocations that count, in each block.
    pub(crate) invocations: usize,
}

/// One subject's turn, in a fresh process.
pub(crate) struct Block {
    /// The first invocation, to its answer.
    pub(crate) first: Duration,
    /// Warm, to the answer.
    pub(crate) answer: Times,
    /// Warm, to the next `/next`.
    pub(crate) ready: Times,
    /// CPU time an invocation.
    pub(crate) cpu: Option<Duration>,
    /// Round trips to the database an invocation.
    pub(crate) trips: Option<f64>,
    /// The process's peak memory, in KiB.
    pub(crate) peak_kib: Option<u64>,
}

/// A function whose start is measured.
pub(crate) struct Starter<'a> {
    /// The function.
    pub(crate) function: &'static str,
    /// Where its secrets come from, for the table.
    pub(crate) secrets: &'static str,
    /// Where it runs.
    pub(crate) setting: &'a Setting,
    /// The floor that it is compared with.
    pub(crate) floor: Option<&'static str>,
    /// How many times the floor's time it may take.
    pub(crate) at_most: Option<f64>,
}

/// Starts each in turn, `blocks` times `count` times; the first round is not
/// counted, as it reads the binaries from the disk. One row of blocks for each.
///
/// # Errors
/// One does not start.
pub(crate) fn starts(starters: &[Starter<'_>], blocks: usize, count: usize) -> Result<Vec<Vec<Times>>> {
    let start = |starter: &Starter<'_>| -> Result<Duration> {
        Ok(Function::start(starter.setting, starter.function, Distance::Near)?.init)
    };
    for starter in starters {
        start(starter)?;
    }
    let mut rows = vec![Vec::new(); starters.len()];
    for block in 1..=blocks {
        progress(&format!("init: block {block} of {blocks}"));
        let mut times = vec![Vec::new(); starters.len()];
        for _ in 0..count {
            for (starter, times) in starters.iter().zip(&mut times) {
                times.push(start(starter)?);
            }
        }
        for (row, times) in rows.iter_mut().zip(times) {
            row.push(times.into_iter().collect());
        }
    }
    Ok(rows)
}

/// Gives each subject its turn, block by block. One row of blocks for each.
///
/// # Errors
/// One fails or answers wrongly.
pub(crate) fn turns(setting: &Setting, subjects: &[Subject<'_>], plan: Plan) -> Result<Vec<Vec<Block>>> {
    let mut rows: Vec<_> = subjects.iter().map(|_| Vec::new()).collect();
    for block in 1..=plan.blocks {
        for (subject, row) in subjects.iter().zip(&mut rows) {
            progress(&format!("{}: {}: block {block} of {}", subject.label, subject.function, plan.blocks));
            row.push(turn(setting, subject, plan)?);
        }
    }
    Ok(rows)
}

fn turn(setting: &Setting, subject: &Subject<'_>, plan: Plan) -> Result<Block> {
    let mut function = Function::start(setting, subject.function, subject.distance)?;
    let first = subject.invoke(&mut function)?.answer;
    for _ in 1..plan.warm_up {
        subject.invoke(&mut function)?;
    }
    let (cpu, trips) = (function.cpu_time(), function.trips());
    let mut invocations = Vec::with_capacity(plan.invocations);
    for _ in 0..plan.invocations {
        invocations.push(subject.invoke(&mut function)?);
    }
    let count = u32::try_from(plan.invocations)?;
    let trips = function.trips().zip(trips).and_then(|(after, before)| u32::try_from(after - before).ok());
    Ok(Block {
        first,
        answer: invocations.iter().map(|invocation| invocation.answer).collect(),
        ready: invocations.iter().map(|invocation| invocation.ready).collect(),
        cpu: function.cpu_time().zip(cpu).map(|(after, before)| after.saturating_sub(before) / count),
        trips: trips.map(|trips| f64::from(trips) / f64::from(count)),
        peak_kib: function.peak_memory_kib(),
    })
}
