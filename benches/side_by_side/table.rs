//! The figures of all rounds, and the table of their medians.

use std::collections::BTreeMap;

/// One figure: what, and in which unit.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Figure {
    /// Position in the table.
    pub order: usize,
    /// What the row says.
    pub label: &'static str,
    /// The most that the ratio to the base (HAProxy, PgBouncer) may be, in hundredths.
    pub bar: Option<u32>,
}

/// By figure and peer, one value a round.
#[derive(Debug, Default)]
pub struct Table {
    values: BTreeMap<Figure, BTreeMap<usize, Vec<(usize, f64)>>>,
}

impl Table {
    /// Notes a value of a round.
    pub fn note(&mut self, figure: Figure, peer: usize, round: usize, value: f64) {
        self.values.entry(figure).or_default().entry(peer).or_default().push((round, value));
    }

    /// The table in Markdown: the median of each, and in parentheses the median of the ratios
    /// to `base` of each round, which noise moves least.
    pub fn print(&self, title: &str, peers: &[&str], base: Option<usize>) {
        println!("\n| {title} | {} | bar |", peers.join(" | "));
        println!("|---|{}---|", "---:|".repeat(peers.len()));
        for (figure, values) in &self.values {
            let mut line = format!("| {} |", figure.label);
            for peer in 0..peers.len() {
                let Some(own) = values.get(&peer) else {
                    line.push_str(" |");
                    continue;
                };
                let middle = median(own.iter().map(|(_, value)| *value).collect());
                line.push_str(&format!(" {}", digits(middle)));
                let of_base = base.filter(|base| *base != peer).and_then(|base| values.get(&base));
                if let Some(of_base) = of_base {
                    let ratios = own.iter().filter_map(|(round, value)| {
                        let (_, base) = of_base.iter().find(|(other, _)| other == round)?;
                        (*base > 0.0).then_some(value / base)
                    });
                    line.push_str(&format!(" ({:.2})", median(ratios.collect())));
                }
                line.push_str(" |");
            }
            let bar = figure.bar.map(|bar| format!("{:.2}", f64::from(bar) / 100.0));
            println!("{line} {} |", bar.unwrap_or_default());
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

fn digits(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
