//! What came out, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

use super::memory::Memory;
use super::removal::{Barriers, Drain};
use super::row::Pattern;

/// One figure of one row.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The row's name.
    pub name: &'static str,
    /// What counts as one operation.
    pub operation: &'static str,
    /// How many objects there were.
    pub objects: usize,
    /// Which of them the threads met.
    pub pattern: Pattern,
    /// How many threads did it.
    pub threads: usize,
    /// What one operation cost the thread that did it, in ns: the median of all rounds that count.
    pub ns_per_op: f64,
    /// Hardly any round was undisturbed (see [`Race::disturbed`](crate::contest::Race::disturbed)), so
    /// that all count: the other load of the machine is in the figure.
    pub disturbed: bool,
}

/// A row, or the memory, that was asked for and cannot be measured on this system.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// The name that it has in the report.
    pub name: &'static str,
    /// What is lacking.
    pub why: String,
}

/// All that came out. [`Display`](fmt::Display) gives the tables for people.
#[derive(Clone, Debug)]
pub struct Report {
    /// The figures, in the order of the rows.
    pub figures: Vec<Figure>,
    /// What this system cannot have.
    pub left_out: Vec<LeftOut>,
    /// What removals cost, if it was asked for.
    pub drain: Option<Drain>,
    /// What barriers cost, if it was asked for.
    pub barriers: Option<Barriers>,
    /// What devices take in memory, if it was asked for and can be counted.
    pub memory: Option<Memory>,
}

impl Report {
    /// The report for programs: `rows`, each with `name`, `threads`, `pattern`, `ns_per_op` and
    /// `disturbed`; `left_out`, each with `name` and `why`; beside them `drain`, `barrier_ns` and `memory`, if they were asked
    /// for.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let row = |figure: &Figure| {
            json!({
                "name": figure.name,
                "threads": figure.threads,
                "pattern": figure.pattern.name(),
                "ns_per_op": figure.ns_per_op,
                "disturbed": figure.disturbed,
            })
        };
        let lacking = |row: &LeftOut| json!({ "name": row.name, "why": row.why });
        let mut report = json!({
            "rows": self.figures.iter().map(row).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(lacking).collect::<Vec<_>>(),
        });
        if let Some(drain) = self.drain {
            report["drain"] = json!({
                "idle_p50_ns": drain.idle_p50_ns,
                "busy_p99_ns": drain.busy_p99_ns,
                "blocked_cpu_ms": drain.blocked_cpu_ms,
            });
        }
        if let Some(barriers) = self.barriers {
            report["barrier_ns"] = json!({ "idle": barriers.idle_ns, "busy": barriers.busy_ns });
        }
        if let Some(memory) = self.memory {
            report["memory"] = json!({
                "bytes_per_device_40_attrs": memory.bytes_per_device,
                "arc_bytes_per_device_40_attrs": memory.arc_bytes_per_device,
            });
        }
        report
    }
}

/// What stands in one column: a pattern, and a number of threads.
type Column = (Pattern, usize);

/// The figures that have their columns in common.
struct Section<'a> {
    objects: usize,
    operation: &'static str,
    columns: Vec<Column>,
    figures: Vec<&'a Figure>,
}

impl<'a> Section<'a> {
    fn all(figures: &'a [Figure]) -> Vec<Self> {
        let mut sections: Vec<Self> = Vec::new();
        for figure in figures {
            let (objects, operation) = (figure.objects, figure.operation);
            let same = |section: &&mut Self| (section.objects, section.operation) == (objects, operation);
            let column = (figure.pattern, figure.threads);
            match sections.iter_mut().find(same) {
                Some(section) => {
                    section.figures.push(figure);
                    if !section.columns.contains(&column) {
                        section.columns.push(column);
                    }
                }
                None => sections.push(Self { objects, operation, columns: vec![column], figures: vec![figure] }),
            }
        }
        sections
    }

    fn figure(&self, name: &str, column: Column) -> Option<&Figure> {
        let is = |figure: &&&Figure| figure.name == name && (figure.pattern, figure.threads) == column;
        self.figures.iter().find(is).copied()
    }
}

impl fmt::Display for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("ns per {}, {} objects", self.operation, self.objects);
        write!(f, "{title:<48}")?;
        for (pattern, threads) in &self.columns {
            write!(f, "{:>10} ", format!("{} x{threads}", pattern.name()))?;
        }
        writeln!(f)?;
        let mut names: Vec<_> = self.figures.iter().map(|figure| figure.name).collect();
        names.dedup();
        for name in names {
            write!(f, "  {name:<46}")?;
            for column in &self.columns {
                match self.figure(name, *column) {
                    Some(figure) if figure.disturbed => write!(f, "{:>10.1}~", figure.ns_per_op)?,
                    Some(figure) => write!(f, "{:>10.1} ", figure.ns_per_op)?,
                    None => write!(f, "{:>10} ", "-")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in Section::all(&self.figures) {
            writeln!(f, "{section}")?;
        }
        if self.figures.iter().any(|figure| figure.disturbed) {
            writeln!(f, "~: the machine was too busy to give the threads a core each\n")?;
        }
        for LeftOut { name, why } in &self.left_out {
            writeln!(f, "{name} is left out: {why}\n")?;
        }
        if let Some(drain) = self.drain {
            writeln!(f, "removal of one object")?;
            writeln!(f, "  {:<46}{:>11.0} ns", "median, nobody anywhere", drain.idle_p50_ns)?;
            writeln!(f, "  {:<46}{:>11.0} ns", "99 of 100, all cores busy with other objects", drain.busy_p99_ns)?;
            writeln!(f, "  {:<46}{:>11.3} ms\n", "processor time while blocked by a reader", drain.blocked_cpu_ms)?;
        }
        if let Some(barriers) = self.barriers {
            writeln!(f, "memory barrier of a removal")?;
            for (what, ns) in [("median, idle", barriers.idle_ns), ("median, all cores busy", barriers.busy_ns)] {
                writeln!(f, "  {what:<46}{ns:>11.0} ns")?;
            }
            writeln!(f)?;
        }
        if let Some(memory) = self.memory {
            writeln!(f, "memory of a device with 40 attributes, beyond payload and name")?;
            for (what, bytes) in [("enodev", memory.bytes_per_device), ("Arc baseline", memory.arc_bytes_per_device)] {
                writeln!(f, "  {what:<46}{bytes:>11.0} bytes")?;
            }
        }
        Ok(())
    }
}
