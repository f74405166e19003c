//! The final report: settings, tables and goals, as text and as JSON.

use std::fmt;

use comfy_table::{Attribute, Cell, CellAlignment, presets};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

/// The results of a run.
#[derive(Default)]
pub(crate) struct Report {
    settings: Vec<(&'static str, String)>,
    tables: Vec<Table>,
    goals: Vec<Goal>,
    figures: Map<String, Json>,
}

/// A table with its title.
pub(crate) struct Table {
    title: String,
    table: comfy_table::Table,
}

/// A goal and its result.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    what: String,
    wanted: f64,
    measured: f64,
    /// Whether a higher figure is better.
    at_least: bool,
    met: bool,
}

impl Report {
    /// Adds a setting of the measurement.
    pub(crate) fn setting(&mut self, name: &'static str, value: String) {
        self.settings.push((name, value));
    }

    /// Adds the machine's properties.
    pub(crate) fn machine(&mut self) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        self.setting("machine", format!("{cores} cores, {}", model.unwrap_or_default()));
        if cfg!(debug_assertions) {
            self.setting("build", "NOT OPTIMIZED: use --release".to_owned());
        }
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Adds a goal.
    pub(crate) fn goal(&mut self, goal: Goal) {
        self.goals.push(goal);
    }

    /// Adds figures to the JSON report.
    pub(crate) fn figure(&mut self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        self.figures.insert(name.to_owned(), serde_json::to_value(value)?);
        Ok(())
    }

    /// Returns all figures as JSON.
    pub(crate) fn json(&self) -> Json {
        let settings: Map<String, Json> = self
            .settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        json!({"settings": settings, "bars": self.goals, "figures": self.figures})
    }

    fn goals(&self) -> Table {
        let mut table = Table::new("Goals".to_owned(), &["", ">goal", ">measured", ""]);
        for goal in &self.goals {
            let relation = if goal.at_least { "≥" } else { "<" };
            table.row([
                goal.what.clone(),
                format!("{relation} {}", goal.wanted),
                format!("{:.2}", goal.measured),
                if goal.met { "met" } else { "NOT MET" }.to_owned(),
            ]);
        }
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .settings
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        for (name, value) in &self.settings {
            writeln!(f, "{name:<width$}  {value}")?;
        }
        for table in self.tables.iter().chain([&self.goals()]) {
            write!(f, "\n{table}")?;
        }
        Ok(())
    }
}

impl Goal {
    /// Creates a goal of at least `wanted`.
    pub(crate) fn least(what: String, wanted: f64, measured: f64) -> Self {
        let met = measured >= wanted;
        Self {
            what,
            wanted,
            measured,
            at_least: true,
            met,
        }
    }

    /// Creates a goal of less than `wanted`.
    pub(crate) fn below(what: String, wanted: f64, measured: f64) -> Self {
        let met = measured < wanted;
        Self {
            what,
            wanted,
            measured,
            at_least: false,
            met,
        }
    }
}

impl Table {
    /// Creates a table. The column of a heading that begins with `>` is aligned to the right.
    pub(crate) fn new(title: String, headings: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        let names = headings.iter().map(|heading| heading.trim_start_matches('>'));
        table.set_header(names.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        for (index, heading) in headings.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, 2));
                if heading.starts_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        Self { title, table }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.table.add_row(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for line in self.table.lines() {
            writeln!(f, "  {}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Converts a count. Counts above `u32::MAX`, which do not occur here, become infinity.
pub(crate) fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Formats a count as `1 234 567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Formats a rate per second.
pub(crate) fn rate(rate: f64) -> String {
    format!("{rate:.0}")
        .parse()
        .map_or_else(|_| "-".to_owned(), count)
}

/// Formats a ratio.
pub(crate) fn ratio(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// Formats seconds.
pub(crate) fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

/// Formats seconds as microseconds.
pub(crate) fn micros(seconds: f64) -> String {
    format!("{:.1}", seconds * 1e6)
}

/// Formats milliseconds.
pub(crate) fn milliseconds(milliseconds: f64) -> String {
    format!("{milliseconds:.2} ms")
}

/// Formats bytes as megabytes of a million bytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", float(bytes) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(rate(98_765.4), "98 765");
    }

    #[test]
    fn a_goal_says_whether_it_is_met() {
        let mut report = Report::default();
        report.goal(Goal::least("speed".to_owned(), 4.0, 3.99));
        report.goal(Goal::below("memory".to_owned(), 150.0, 149.5));

        let text = report.to_string();

        let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap().to_owned();
        assert!(line("speed").ends_with("NOT MET"), "{text}");
        assert!(line("memory").ends_with(" met"), "{text}");
    }
}
