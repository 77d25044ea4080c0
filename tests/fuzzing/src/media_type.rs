//! Media types and headers of answers, as callers, functions and the code of flows name them.

use faas_flow_core::{MediaType, ResponseHead};

/// What a header's value may not contain.
fn ends_a_line(text: &str) -> bool {
    text.contains(['\r', '\n', '\0'])
}

/// Tries an input. Each line is a media type and, up to its first colon, the name of a header.
pub fn media_type(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let lines = || text.split('\n');
    for line in lines() {
        if let Ok(media_type) = MediaType::parse(line) {
            let text = media_type.as_str();
            assert!(text.len() <= MediaType::LONGEST && !ends_a_line(text), "a media type can be sent");
            assert_eq!(MediaType::parse(text).as_ref(), Ok(&media_type), "a media type reads back");
            let stored = serde_json::to_string(&media_type).unwrap();
            assert_eq!(serde_json::from_str::<MediaType>(&stored).unwrap(), media_type, "a stored one reads back");
        }
    }
    let values: Vec<_> = lines().map(|line| ("Content-Type".to_owned(), line.to_owned())).collect();
    let said = MediaType::of_message(&values);
    assert!(said.is_octet_stream() || values.iter().all(|(_, value)| MediaType::parse(value).as_ref() == Ok(&said)));

    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    };
    let status = u16::try_from(text.len()).unwrap_or_default();
    if let Ok(head) = ResponseHead::new(status, lines().map(header).collect()) {
        assert!(
            head.headers.iter().all(|(name, value)| !ends_a_line(name) && !ends_a_line(value)),
            "headers can be sent"
        );
        assert_eq!(ResponseHead::new(head.status, head.headers.clone()).as_ref(), Ok(&head), "they are accepted again");
    }
}
