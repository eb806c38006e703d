//! What an experiment measured, for people, for programs, and against its goals.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::machine;

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Reported only.
    None,
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::None => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit}"),
            Self::AtLeast(limit) => format!("at least {limit}"),
            Self::None => "-".to_owned(),
        }
    }
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// Greenroom's value.
    pub(crate) ours: f64,
    /// The peer's value, if there is one.
    pub(crate) peer: Option<f64>,
    pub(crate) unit: &'static str,
    /// The value that the goal is about: the ratio, or `ours`.
    pub(crate) judged: f64,
    pub(crate) goal: Goal,
}

impl Figure {
    /// A figure beside a peer's: the goal is about the ratio ours : peer's.
    pub(crate) fn ratio(
        name: impl Into<String>,
        ours: f64,
        peer: f64,
        ratio: f64,
        unit: &'static str,
        goal: Goal,
    ) -> Self {
        Self { name: name.into(), ours, peer: Some(peer), unit, judged: ratio, goal }
    }

    fn print(&self, check: bool) {
        let peer = self.peer.map_or_else(|| "-".to_owned(), |peer| format!("{} {}", number(peer), self.unit));
        let ratio = self.peer.map_or_else(|| "-".to_owned(), |_| format!("{:.2}", self.judged));
        let verdict = match (check, self.goal, self.goal.is_met(self.judged)) {
            (false, _, _) | (_, Goal::None, _) => "",
            (true, _, true) => "met",
            (true, _, false) => "MISSED",
        };
        let ours = format!("{} {}", number(self.ours), self.unit);
        println!("  {:<44} {ours:>14} {peer:>14} {ratio:>8}  {:<14} {verdict}", self.name, self.goal.text());
    }

    /// A figure of its own.
    pub(crate) fn alone(name: impl Into<String>, ours: f64, unit: &'static str, goal: Goal) -> Self {
        Self { name: name.into(), ours, peer: None, unit, judged: ours, goal }
    }
}

/// The figures of an experiment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) experiment: &'static str,
    pub(crate) machine: String,
    pub(crate) peer: Option<String>,
    pub(crate) sections: Vec<Section>,
}

/// Figures that were measured under one condition.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Section {
    /// The condition; empty where there is only one.
    pub(crate) name: String,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(experiment: &'static str, peer: Option<String>) -> Self {
        Self { experiment, machine: machine::describe(), peer, sections: Vec::new() }
    }

    /// Whether every goal is met.
    pub(crate) fn is_met(&self) -> bool {
        self.sections.iter().flat_map(|section| &section.figures).all(|figure| figure.goal.is_met(figure.judged))
    }

    /// Prints the report, writes it, and judges it; whether every goal that counts was met.
    pub(crate) fn finish(self, json: Option<&Path>, check: bool) -> anyhow::Result<bool> {
        println!("{} on {}", self.experiment, self.machine);
        if let Some(peer) = &self.peer {
            println!("beside {peer}, in the same run; medians of interleaved rounds");
        }
        println!("  {:<44} {:>14} {:>14} {:>8}  {:<14} ", "", "greenroom", "peer", "ratio", "goal");
        for section in &self.sections {
            if !section.name.is_empty() {
                println!("{}:", section.name);
            }
            for figure in &section.figures {
                figure.print(check);
            }
        }
        if let Some(path) = json {
            let text = serde_json::to_string_pretty(&self)?;
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(!check || self.is_met())
    }
}

fn number(value: f64) -> String {
    if value >= 10_000.0 { format!("{:.0} k", value / 1000.0) } else { format!("{value:.1}") }
}

/// The value in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
