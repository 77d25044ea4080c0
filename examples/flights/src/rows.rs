//! Parses the file and groups its rows by hour.

use faas_flow::Result;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Deserialize)]
struct Flight {
    date: String,
    delay: i64,
    origin: String,
}

/// The lines `delay,origin` that the functions read, grouped by hour of departure.
pub fn by_hour(data: &[u8]) -> Result<BTreeMap<String, String>> {
    let flights: Vec<Flight> = serde_json::from_slice(data)?;
    let mut hours = BTreeMap::<String, String>::new();
    for (index, flight) in flights.iter().enumerate() {
        let hour = hour(&flight.date)
            .ok_or_else(|| format!("row {index} has the date `{}`, not one such as 2001/01/31 23:59", flight.date))?;
        if !flight.origin.bytes().all(|byte| byte.is_ascii_alphanumeric()) || flight.origin.is_empty() {
            return Err(format!("row {index} has the origin `{}`, not the code of an airport", flight.origin).into());
        }
        let lines = hours.entry(hour.into()).or_default();
        writeln!(lines, "{},{}", flight.delay, flight.origin)?;
    }
    Ok(hours)
}

/// The hour of a date: `23` of `2001/01/31 23:59`.
fn hour(date: &str) -> Option<&str> {
    let (_, time) = date.split_once(' ')?;
    let (hour, _) = time.split_once(':')?;
    (hour.len() == 2 && hour.parse::<u8>().ok()? < 24).then_some(hour)
}
