//! From the file to groups.

use faas_flow::{Failure, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Deserialize)]
struct Flight {
    date: String,
    delay: i64,
    origin: String,
}

/// By hour of departure, the lines `delay,origin` that the functions read.
pub fn by_hour(data: &[u8]) -> Result<BTreeMap<String, String>> {
    let flights: Vec<Flight> = serde_json::from_slice(data)?;
    let mut hours = BTreeMap::<String, String>::new();
    for (index, flight) in flights.iter().enumerate() {
        let hour = hour(&flight.date).ok_or_else(|| {
            Failure::reject(format!("row {index} has the date `{}`: write 2001/01/31 23:59", flight.date))
        })?;
        if !flight.origin.bytes().all(|byte| byte.is_ascii_alphanumeric()) || flight.origin.is_empty() {
            return Err(format!("row {index} has the origin `{}`: write an airport's code", flight.origin).into());
        }
        let lines = hours.entry(hour.into()).or_default();
        writeln!(lines, "{},{}", flight.delay, flight.origin).map_err(|error| error.to_string())?;
    }
    Ok(hours)
}

/// `23` of `2001/01/31 23:59`.
fn hour(date: &str) -> Option<&str> {
    let (_, time) = date.split_once(' ')?;
    let (hour, _) = time.split_once(':')?;
    (hour.len() == 2 && hour.parse::<u8>().ok()? < 24).then_some(hour)
}
