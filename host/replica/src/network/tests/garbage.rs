//! Answers that are no HTTP, or no HTTP that anybody should send.

use super::*;

async fn got(answer: impl Into<Vec<u8>>) -> Result<HttpResponse, Failure> {
    let answer = answer.into();
    let address = scripted(HERE, move |_| answer.clone()).await;
    let network = Http::new(&Settings::default()).unwrap();
    get(&network, &format!("http://{address}/"), ChosenBy::Gateway).await
}

/// CALL-1.
#[tokio::test]
async fn an_answer_that_is_no_http_is_an_error() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let many = "x-more: of them\r\n".repeat(1000);
    let huge = "x".repeat(4 << 20);
    for answer in [
        String::new(),
        "nonsense\r\n\r\n".to_owned(),
        "\0".repeat(1000),
        "HTTP/9.9 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 what\r\n\r\n".to_owned(),
        "HTTP/1.1 99 low\r\n\r\n".to_owned(),
        "HTTP/1.1 2000 high\r\n\r\n".to_owned(),
        format!("{ok}a line without a colon\r\n\r\n"),
        format!("{ok}: no name\r\n\r\n"),
        format!("{ok}odd name: x\r\n\r\n"),
        format!("{ok}nul: \0\r\n\r\n"),
        format!("{ok}\u{7f}: x\r\n\r\n"),
        // A line end within a media type.
        format!("{ok}content-type: text/plain\r\n x-injected: 1\r\n\r\n"),
        format!("{ok}content-type: text/\rplain\r\n\r\n"),
        format!("{ok}content-type: text/plain"),
        format!("{ok}content-length: many\r\n\r\n"),
        format!("{ok}content-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
        format!("{ok}content-length: 99999999999999999999\r\n\r\nx"),
        format!("{ok}content-length: 9\r\n\r\nshort"),
        format!("{ok}transfer-encoding: chunked\r\n\r\nzz\r\n"),
        format!("{ok}transfer-encoding: chunked\r\n\r\n5\r\nab"),
        format!("{ok}{many}\r\n"),
        format!("{ok}x: {huge}\r\n\r\n"),
        format!("{ok}{huge}: x\r\n\r\n"),
        format!("HTTP/1.1 200 {huge}\r\n\r\n"),
    ] {
        let shown: String = answer.chars().take(80).flat_map(char::escape_debug).collect();
        let failure = got(answer).await.expect_err(&shown);
        assert_eq!((failure.code, failure.retry), (Code::CALL_UNREACHABLE, true), "{shown}: {failure}");
        assert!(!failure.message.contains(char::is_control) && failure.message.len() < 300, "{shown}: {failure}");
    }
}

/// TYPE-8.
#[tokio::test]
async fn a_media_type_that_is_none_or_too_long_is_bytes() {
    let long = format!("text/{}", "a".repeat(10 * 1024));
    for unclear in ["", "text", "text/plain; charset", "\u{fc}/x", &long] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {unclear}\r\ncontent-length: 2\r\n\r\nhi");
        let answer = got(head).await.unwrap();
        assert!(answer.media_type().is_octet_stream() && answer.body == "hi", "{}", answer.media_type());
    }
}
