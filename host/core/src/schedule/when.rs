//! At which moments a schedule fires.

use super::spec::BadSchedule;
use crate::suggest::nearest;
use crate::{Millis, parse_duration};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The longest text of a `when`, in bytes.
const LONGEST: usize = 256;
/// The longest interval: 31 days, in milliseconds.
const LONGEST_INTERVAL: Millis = 31 * 24 * 3600 * 1000;
const SECOND: Millis = 1000;

/// The moments of a schedule. All of them are whole seconds.
#[derive(Debug, Clone)]
pub struct When(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// At every multiple of this many milliseconds since 1970-01-01T00:00:00Z.
    Every(Millis),
    /// As a cron expression says, in a time zone.
    Cron(Box<Cron>, TimeZone),
}

impl When {
    /// Reads a cron expression of five or six fields (with six, the first one is the second), a nickname such as `@daily`, or
    /// an interval such as `every 10m`. Without a time zone, a cron expression is meant in UTC.
    pub fn parse(when: &str, zone: Option<&str>) -> Result<Self, BadSchedule> {
        let when = when.trim();
        let refused = |why: &str| BadSchedule::When { when: when.chars().take(80).collect(), why: why.to_owned() };
        if when.len() > LONGEST {
            return Err(refused("it is longer than 256 bytes"));
        }
        if !when.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t') {
            return Err(refused("it has characters that no expression has"));
        }
        if let Some(every) = when.strip_prefix("every ") {
            if zone.is_some() {
                return Err(refused("an interval has no time zone: remove the zone, or write a cron expression"));
            }
            return interval(every.trim()).map(|every| Self(Kind::Every(every))).map_err(|why| refused(&why));
        }
        misplaced_letters(when).map_or(Ok(()), |why| Err(refused(&why)))?;
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(when).map_err(|error| refused(&plain(&error.to_string())))?;
        let zone = zone.map_or(Ok(TimeZone::UTC), time_zone)?;
        let moments = Self(Kind::Cron(Box::new(cron), zone));
        // Which moment the search begins with does not matter: whatever has a moment has one within 400 years.
        moments.after(0).map(|_| moments).ok_or_else(|| BadSchedule::Never { when: when.to_owned() })
    }

    /// The first moment after this one.
    pub fn after(&self, at: Millis) -> Option<Millis> {
        match &self.0 {
            Kind::Every(every) => (at / every).checked_add(1)?.checked_mul(*every),
            Kind::Cron(cron, zone) => millis(&cron.find_next_occurrence(&zoned(at, zone)?, false).ok()?),
        }
    }

    /// The last moment before this one; none before 1970.
    pub fn before(&self, at: Millis) -> Option<Millis> {
        match &self.0 {
            Kind::Every(every) => at.checked_sub(1).map(|at| at / every * every).filter(|at| *at > 0),
            Kind::Cron(cron, zone) => {
                // Fractions of a second before the moment count.
                let at = at.div_ceil(SECOND) * SECOND;
                millis(&cron.find_previous_occurrence(&zoned(at, zone)?, false).ok()?)
            }
        }
    }

    /// The first moments after this one.
    pub fn following(&self, at: Millis) -> impl Iterator<Item = Millis> + '_ {
        std::iter::successors(self.after(at), |at| self.after(*at))
    }
}

/// What is wrong with the letters of an expression, if anything is: the parser replaces the names of months and days wherever they
/// are, so that `MON` would be the second minute of an hour.
fn misplaced_letters(when: &str) -> Option<String> {
    const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L"];
    const FIELDS: [(&str, &[&str]); 6] = [
        ("second", &[]),
        ("minute", &[]),
        ("hour", &[]),
        ("day of the month", &["L", "W", "LW"]),
        ("month", MONTHS),
        ("day of the week", DAYS),
    ];
    let fields: Vec<&str> = when.split_ascii_whitespace().collect();
    // Nicknames, and what has too few or too many fields, are left to the parser.
    let skipped = FIELDS.len().checked_sub(fields.len()).filter(|skipped| *skipped <= 1)?;
    let named = fields.iter().zip(FIELDS.iter().skip(skipped));
    let mut words = named.flat_map(|(field, (name, known))| {
        let words = field.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        words.map(move |word| (word, *name, *known))
    });
    let is_known = |word: &str, known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(word));
    // `FRIL` is the last Friday.
    let is_last = |word: &str, known: &[&str]| {
        word.len() > 3
            && known.contains(&"FRI")
            && word.strip_suffix(['L', 'l']).is_some_and(|day| is_known(day, known))
    };
    let (word, name, _) = words.find(|(word, _, known)| !is_known(word, known) && !is_last(word, known))?;
    let word: String = word.chars().take(20).collect();
    Some(format!("`{word}` is no {name}"))
}

/// What the parser says of an expression, without the name of the error and the full stop: it becomes part of a sentence.
fn plain(error: &str) -> String {
    let said = error.rsplit(": ").next().unwrap_or(error).trim_end_matches('.');
    let mut letters = said.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn interval(text: &str) -> Result<Millis, String> {
    let every = parse_duration(text).and_then(|every| Millis::try_from(every.as_millis()).ok());
    let every = every.ok_or_else(|| "after `every` there must be a time such as 30s, 10m or 1h30m".to_owned())?;
    if !(SECOND..=LONGEST_INTERVAL).contains(&every) || every % SECOND != 0 {
        return Err("the interval must be whole seconds, from 1s to 744h (31 days)".to_owned());
    }
    Ok(every)
}

fn time_zone(name: &str) -> Result<TimeZone, BadSchedule> {
    TimeZone::get(name).map_err(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let shown: String = name.chars().take(80).collect();
        let near = nearest(&shown, known.iter().map(String::as_str), |known| known.len() / 3);
        BadSchedule::Zone { near: near.map(str::to_owned), zone: shown }
    })
}

fn zoned(at: Millis, zone: &TimeZone) -> Option<Zoned> {
    Some(Timestamp::from_millisecond(i64::try_from(at).ok()?).ok()?.to_zoned(zone.clone()))
}

fn millis(at: &Zoned) -> Option<Millis> {
    Millis::try_from(at.timestamp().as_millisecond()).ok()
}
