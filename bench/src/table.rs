//! Tables in plain text.

use std::fmt;
use std::time::Duration;

/// A table with a title; its columns are as wide as their widest cell.
pub(crate) struct Table {
    title: &'static str,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(title: &'static str, header: &[&str]) -> Self {
        Self { title, header: header.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{}", self.title)?;
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let width = |column: usize| lines().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
        let widths: Vec<_> = (0..self.header.len()).map(width).collect();
        for line in lines() {
            let numeric = |cell: &str| cell == "-" || cell.starts_with(|first: char| first.is_ascii_digit());
            let mut text = String::new();
            for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                // Figures stand under each other to the right, with their heads.
                let gap = width - cell.len();
                let right =
                    numeric(cell) || self.rows.iter().all(|row| row.get(column).is_none_or(|cell| numeric(cell)));
                text += &if right { " ".repeat(gap) + cell } else { cell.clone() + &" ".repeat(gap) };
                text += "  ";
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// A time in milliseconds, to the microsecond while it is short.
pub(crate) fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    number(ms, if ms < 10.0 { 3 } else { 1 })
}

/// A number with so many decimals.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}")
}
