//! The page of a fleet: units by features, hosts by kernel, what is new, what OSes lack. What it holds is
//! bounded, however many hosts there are: everything is counted per unit, kernel or day.

mod days;
mod gaps;
mod machines;

use std::collections::BTreeSet;

use super::answer::{self, Answer};
use super::data::{Data, Pool, Units};
use super::{Parts, SCRIPTS, filled, links};
use crate::fleet::{FleetGap, HostRow, UnitOverview};
use crate::text::{counted, printable};

const UNITS: &str = include_str!("fleet.html");
/// Uses that are in the page: with all else, it then stays below 1 MB.
const MOST_USES: usize = 50_000;

/// What the page is about.
#[derive(Clone, Copy, Debug)]
pub struct FleetPage<'a> {
    pub hosts: &'a [HostRow],
    /// The one on the most hosts first.
    pub units: &'a [UnitOverview],
    pub gaps: &'a [FleetGap],
    /// OSes that were asked for by name: the answer is at the top.
    pub asked: usize,
    /// Unix milliseconds.
    pub written_ms: u64,
}

impl FleetPage<'_> {
    pub fn html(&self) -> Result<String, serde_json::Error> {
        let mut body = self.overview();
        body.push_str(UNITS);
        machines::section(&mut body, self.hosts, self.written_ms);
        days::section(&mut body, self.units);
        gaps::section(&mut body, self.gaps);
        let mut views = vec![
            ("overview", "Answer"),
            ("units", "Units"),
            ("hosts", "Hosts"),
            ("drift", "Drift"),
        ];
        if !self.gaps.is_empty() {
            views.push(("gap", "OSes"));
        }
        Ok(filled(&Parts {
            title: "Loupe: a fleet".to_owned(),
            navigation: links(&views),
            body,
            data: self.data().json()?,
            script: format!("\"use strict\";\n(() => {{\n{}}})();", SCRIPTS.concat()),
            written_ms: self.written_ms.cast_signed(),
        }))
    }

    fn overview(&self) -> String {
        let features: BTreeSet<&String> = self
            .units
            .iter()
            .flat_map(|unit| unit.uses.keys())
            .collect();
        let kernels: BTreeSet<&String> = self.hosts.iter().map(|row| &row.host.kernel).collect();
        let (hosts, units) = (self.hosts.len() as u64, self.units.len() as u64);
        let verb = if hosts == 1 { "runs" } else { "run" };
        let mut more: Vec<String> = self
            .gaps
            .iter()
            .take(self.asked)
            .map(gaps::sentence)
            .collect();
        more.push(machines::sentence(self.hosts, self.written_ms));
        more.extend(days::sentence(self.units));
        let first = Answer {
            headline: format!(
                "{} {verb} {}, which were seen to use {}.",
                counted(hosts, "host"),
                counted(units, "unit"),
                counted(features.len() as u64, "feature")
            ),
            more,
            link: Some(("#units".to_owned(), "Who uses what")),
        };
        let tiles = [
            (hosts.to_string(), "hosts"),
            (units.to_string(), "units"),
            (features.len().to_string(), "features"),
            (kernels.len().to_string(), "kernels"),
        ];
        format!(
            "<section id=\"overview\" class=\"view\">\n{}{}</section>\n",
            answer::answer(&first),
            answer::tiles_of(&tiles)
        )
    }

    fn data(&self) -> Data {
        let mut pool = Pool::default();
        let mut room = MOST_USES;
        let mut rows = Vec::new();
        for unit in self.units {
            let Some(left) = room.checked_sub(unit.uses.len()) else {
                break;
            };
            room = left;
            let uses = unit.uses.iter().flat_map(|(feature, used)| {
                let feature = pool.index(printable(feature));
                [feature as u64, used.hosts]
            });
            rows.push((printable(&unit.name), unit.hosts, uses.collect()));
        }
        let left_out = self.units.len() - rows.len();
        Data::of_fleet(Units { rows, left_out }, pool)
    }
}

#[cfg(test)]
mod tests;
