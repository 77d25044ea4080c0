//! Results in the form of JUnit, which CI systems show.

use super::explore::Explored;
use faas_flow_core::FlowName;
use faas_flow_scenario::{Deviation, Mismatch, Tested, story};
use std::fmt::Write as _;

/// A test suite with a test case for each scenario, and one for each scenario with faults.
pub(super) fn junit(flow: &FlowName, tested: &[Tested], explored: &[Explored]) -> String {
    let failures = tested.iter().filter(|tested| !tested.wrong.is_empty()).count()
        + explored.iter().filter(|one| !one.wrong.is_empty()).count();
    let tests = tested.len() + explored.len();
    let seconds: f64 = tested.iter().map(|tested| tested.real.as_secs_f64()).sum();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "<testsuites tests=\"{tests}\" failures=\"{failures}\" time=\"{seconds:.3}\">");
    let _ =
        writeln!(text, "  <testsuite name=\"{flow}\" tests=\"{tests}\" failures=\"{failures}\" time=\"{seconds:.3}\">");
    for one in tested {
        let wrong: Vec<String> =
            one.wrong.iter().map(|wrong| told(&one.scenario.file.display().to_string(), wrong)).collect();
        let story = story(&one.scenario, &one.played).join("\n");
        let more = if wrong.is_empty() { String::new() } else { format!("\n\n{story}") };
        let file = one.scenario.file.display().to_string();
        case(&mut text, (&file, &one.scenario.name, one.real.as_secs_f64()), &wrong, &more);
    }
    for one in explored {
        let case_of = |wrong: &Deviation| {
            format!("{}: {} (to repeat it: {})", wrong.case.told(), wrong.what, wrong.case.option())
        };
        let wrong: Vec<String> = one.wrong.iter().map(case_of).collect();
        let (file, name) = (one.scenario.file.display().to_string(), format!("{} (with faults)", one.scenario.name));
        case(&mut text, (&file, &name, 0.0), &wrong, "");
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn case(text: &mut String, (file, name, seconds): (&str, &str, f64), wrong: &[String], more: &str) {
    let (file, name) = (escaped(file), escaped(name));
    let _ = write!(text, "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" time=\"{seconds:.3}\"");
    let Some(first) = wrong.first() else {
        text.push_str("/>\n");
        return;
    };
    let first = escaped(first.lines().next().unwrap_or_default());
    let all = escaped(&(wrong.join("\n") + more));
    let _ = writeln!(text, ">\n      <failure message=\"{first}\">{all}</failure>\n    </testcase>");
}

fn told(file: &str, wrong: &Mismatch) -> String {
    let mut text = format!("{file}:{}: {}", wrong.line, wrong.what);
    if let (Some(expected), Some(found)) = (&wrong.expected, &wrong.found) {
        let _ = write!(text, "\nexpected: {expected}\nfound: {found}");
    }
    text
}

/// A text within XML 1.0, which has no control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c if c.is_control() || ['\u{fffe}', '\u{ffff}'].contains(&c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_escaped_for_xml() {
        assert_eq!(escaped("a<b> & \"c\"\n\u{1b}[0m"), "a&lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}[0m");
    }
}
