//! Turns the measurements of the functions into a table.

use faas_flow::{Inputs, Result};
use serde::{Deserialize, Serialize};

/// Statistics of the flights of one hour. Delays are in minutes.
#[derive(Serialize, Deserialize)]
pub struct Hour {
    hour: String,
    flights: i64,
    total: i64,
    worst: i64,
    late: i64,
    busiest: String,
}

/// Merges the outputs of the two functions for one hour: `flights,total,worst,late` and `origin,flights`.
pub fn measure(inputs: Inputs) -> Result<Vec<u8>> {
    let [flights, total, worst, late] = numbers(text(&inputs, "delays")?)?;
    let busiest = text(&inputs, "busiest")?.replace(',', " ");
    Ok(serde_json::to_vec(&Hour { hour: String::new(), flights, total, worst, late, busiest })?)
}

/// Collects all hours into one list, and names each.
pub fn collect(results: Inputs) -> Result<Vec<u8>> {
    let named = results.into_iter().map(|(hour, data)| Ok(Hour { hour, ..serde_json::from_slice(&data)? }));
    Ok(serde_json::to_vec(&named.collect::<Result<Vec<_>>>()?)?)
}

/// The report: one line per hour, and one for all. Without flights, `collect` is not called and there is no data.
pub fn table(collected: &[u8]) -> Result<String> {
    let mut table = format!("{:<4} {:>7} {:>6} {:>6} {:>6}  busiest\n", "hour", "flights", "mean", "worst", "late %");
    if collected.is_empty() {
        return Ok(table);
    }
    let hours: Vec<Hour> = serde_json::from_slice(collected)?;
    let all = Hour {
        hour: "all".into(),
        flights: hours.iter().map(|hour| hour.flights).sum(),
        total: hours.iter().map(|hour| hour.total).sum(),
        worst: hours.iter().map(|hour| hour.worst).max().unwrap_or_default(),
        late: hours.iter().map(|hour| hour.late).sum(),
        busiest: String::new(),
    };
    table.extend(hours.iter().chain([&all]).map(line));
    Ok(table)
}

fn line(hour: &Hour) -> String {
    let mean = tenths(hour.total, hour.flights);
    let share = tenths(100 * hour.late, hour.flights);
    let Hour { hour, flights, worst, busiest, .. } = hour;
    let line = format!("{hour:<4} {flights:>7} {mean:>6} {worst:>6} {share:>6}  {busiest}");
    format!("{}\n", line.trim_end())
}

/// `part / whole` with one decimal, halves rounded away from zero.
fn tenths(part: i64, whole: i64) -> String {
    let rounded = (part.abs() * 20 + whole) / (2 * whole.max(1));
    let sign = if part < 0 && rounded > 0 { "-" } else { "" };
    format!("{sign}{}.{}", rounded / 10, rounded % 10)
}

fn text<'a>(inputs: &'a Inputs, function: &str) -> Result<&'a str> {
    let output = inputs.get(function).ok_or_else(|| format!("function `{function}` returned nothing"))?;
    Ok(str::from_utf8(output)?.trim())
}

fn numbers(line: &str) -> Result<[i64; 4]> {
    let numbers = line.split(',').map(str::parse).collect::<Result<Vec<i64>, _>>();
    let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| format!("function `delays` returned `{line}`, not flights,total,worst,late").into())
}
