//! Configuration: the only reader of the environment. It reads everything that
//! a function needs and reports every fault at once, by name.

mod base;
mod database;
mod token;
mod url;

use std::fmt;

pub use base::BaseConfig;
pub use database::{DatabaseConfig, PoolMode};
pub use token::TokenConfig;
pub(crate) use url::is_loopback;
pub use url::is_web_origin;

/// What a function reads from its environment.
pub trait Config: Sized {
    /// Reads it. Faults are noted in `env`; what stands in for a faulty value
    /// is never used.
    fn read(env: &mut Environment<'_>) -> Self;
}

impl<A: Config, B: Config> Config for (A, B) {
    fn read(env: &mut Environment<'_>) -> Self {
        (A::read(env), B::read(env))
    }
}

/// Reads a `C` from the process's environment.
///
/// # Errors
/// Every fault, by the variable's name.
pub fn from_process<C: Config>() -> Result<C, Faults> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    from_lookup(&|name| std::env::var(name).ok())
}

/// Reads a `C` by `lookup`.
///
/// # Errors
/// Every fault, by the variable's name.
pub fn from_lookup<C: Config>(lookup: &dyn Fn(&str) -> Option<String>) -> Result<C, Faults> {
    let mut env = Environment { lookup, faults: Faults::default() };
    let config = C::read(&mut env);
    env.faults.or(config)
}

/// The environment while it is being read.
pub struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faults: Faults,
}

impl Environment<'_> {
    /// A variable that may be absent or empty.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A variable that must be there; `what` says in the fault what it is.
    pub fn required(&mut self, name: &str, what: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.faults.push(format!("{name} is not set: {what}"));
            String::new()
        })
    }

    /// A variable with a default; `expected` says in the fault what fits.
    pub fn parsed<T>(&mut self, name: &str, default: T, expected: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let Some(text) = self.optional(name) else { return default };
        parse(&text).unwrap_or_else(|| {
            self.faults.push(format!("{name} must be {expected}"));
            default
        })
    }

    /// Notes a fault of another kind.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault);
    }
}

/// What is wrong with a function's configuration or its secrets: all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl Faults {
    /// Adds a fault: one sentence, with a name and without a value.
    pub fn push(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// `value`, if there is no fault.
    ///
    /// # Errors
    /// The faults.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<String> for Faults {
    fn from(fault: String) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fault{} in the configuration:", self.0.len(), if self.0.len() == 1 { "" } else { "s" })?;
        self.0.iter().enumerate().try_for_each(|(index, fault)| write!(f, " ({}) {fault}.", index + 1))
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests;
