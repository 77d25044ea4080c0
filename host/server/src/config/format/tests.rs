use super::*;
use std::time::Duration;

#[test]
fn sizes_have_units_of_1024() {
    for (text, size) in [("0", 0), ("100", 100), ("32KiB", 32 << 10), ("64 MiB", 64 << 20), ("1Gi", 1 << 30)] {
        assert_eq!(Size(0).parse(text), Ok(size), "{text}");
    }
    for bad in ["", "MiB", "-1", "1.5MiB", "1MB", "99999999999999999999", "17179869184GiB"] {
        assert!(Size(0).parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn zero_is_refused_where_it_makes_no_sense() {
    assert_eq!(Size(1).parse("0").unwrap_err(), "must be at least 1 bytes");
    assert_eq!(Size(1).parse("1"), Ok(1));
    assert!(Time::millis(1..=1000).parse("0").is_err());
}

#[test]
fn a_server_is_a_host_and_port_as_in_the_original_or_a_url() {
    assert_eq!(Server.parse("gateway.openfaas:8080").as_deref(), Ok("http://gateway.openfaas:8080"));
    assert_eq!(Server.parse("https://gw.example/").as_deref(), Ok("https://gw.example"));
    for bad in [
        "",
        "ftp://gw",
        "http://",
        "http://u:p@gw",
        "gw:port",
        "gw:99999",
        "gw?x=1",
        "gw#x",
        "https://gw/a#",
        "a b",
        "gw:",
    ] {
        assert!(Server.parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_origin_is_written_as_browsers_write_it() {
    let origins = Origins.parse("https://App.Example, http://localhost:3000/,https://app.example:443");
    assert_eq!(origins.unwrap(), ["https://app.example", "http://localhost:3000", "https://app.example"]);
    for bad in
        ["app.example", "*", "null", "https://", "https://a/b", "https://a?b", "https://u@a", "ftp://a", "file:///"]
    {
        assert!(Origins.parse(bad).is_err(), "{bad}");
    }
    assert_eq!(CorsOrigins.parse(" * ").unwrap(), ["*"]);
    assert_eq!(CorsOrigins.parse("https://app.example").unwrap(), ["https://app.example"]);
    assert!(CorsOrigins.parse("https://app.example,*").is_err());
}

#[test]
fn a_time_must_be_in_its_range() {
    let hour = Time::millis(100..=3_600_000);
    assert_eq!(hour.parse("100ms"), Ok(Duration::from_millis(100)));
    assert_eq!(hour.parse("3600"), Ok(Duration::from_secs(3600)));
    assert_eq!(hour.parse("10000").unwrap_err(), "must be between 100 ms and 1 h");
    assert!(hour.parse("99ms").is_err());
}

#[test]
fn a_time_limit_of_zero_is_no_limit() {
    assert_eq!(TimeLimit.parse("0"), Ok(None));
    assert_eq!(TimeLimit.parse("1m"), Ok(Some(Duration::from_secs(60))));
}

#[test]
fn an_option_that_lists_items_does_not_split_them() {
    assert_eq!(List.parse(" a=1, b ,,"), Ok(vec!["a=1".to_owned(), "b".to_owned()]));
    let given = ["a,b", "c"].map(|item| List.parse_option(item).unwrap());
    assert_eq!(List.combine(given.into()), Some(vec!["a,b".to_owned(), "c".to_owned()]));
}

#[test]
fn a_value_that_is_refused_is_not_repeated() {
    let secret = "s3cret:s3cret@s3cret?";
    let words: Words<u8> = Words::new("WORD", &[("a", 0), ("b", 1)]);
    for rule in [
        Switch.parse(secret).unwrap_err(),
        Time::ANY.parse(secret).unwrap_err(),
        Size(1).parse(secret).unwrap_err(),
        Count(1_usize).parse(secret).unwrap_err(),
        Port.parse(secret).unwrap_err(),
        Server.parse(secret).unwrap_err(),
        Origins.parse(secret).unwrap_err(),
        CorsOrigins.parse(secret).unwrap_err(),
        Hosts.parse(secret).unwrap_err(),
        Ranges.parse(secret).unwrap_err(),
        words.parse(secret).unwrap_err(),
    ] {
        assert!(!rule.contains("s3cret"), "{rule}");
    }
}

#[test]
fn pointers_are_separated_by_commas_or_lines_and_an_option_has_one() {
    let mut three = Rules::default();
    for rule in ["/a", "/**/b", "/c/*/d"] {
        three.add(rule).unwrap();
    }
    assert_eq!(Pointers.parse(" /a,/**/b,\n/c/*/d\n"), Ok(three));
    assert!(Pointers.parse("").unwrap().is_empty());
    let mut odd = Rules::default();
    odd.add("/a,b").unwrap();
    assert_eq!(Pointers.parse_option("/a,b"), Ok(odd));
    for bad in ["a", "/a,b", "/a/**", "/~"] {
        assert!(Pointers.parse(bad).is_err(), "{bad}");
    }
}
