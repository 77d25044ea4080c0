//! Answers that are compressed.

use super::*;
use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use tokio::io::AsyncRead;

const TEXT: &[u8] = b"a function answers with text, text and more text";

async fn all(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn encoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What a flow gets from a server that answers so, if answers may have this many bytes.
async fn got(answer: Vec<u8>, limit: usize) -> Result<HttpResponse, Failure> {
    let address = scripted(HERE, move |_| answer.clone()).await;
    let network = Http::new(&Settings { response_limit: limit, ..Settings::default() }).unwrap();
    get(&network, &format!("http://{address}/"), ChosenBy::Gateway).await
}

/// CALL-7.
#[tokio::test]
async fn answers_are_decoded() {
    let twice = all(BrotliEncoder::new(&all(GzipEncoder::new(TEXT)).await[..])).await;
    let members = [all(GzipEncoder::new(&TEXT[..9])).await, all(GzipEncoder::new(&TEXT[9..])).await].concat();
    for (coding, body) in [
        ("gzip", all(GzipEncoder::new(TEXT)).await),
        ("X-GZip", members),
        ("deflate", all(ZlibEncoder::new(TEXT)).await),
        ("deflate", all(DeflateEncoder::new(TEXT)).await),
        ("br", all(BrotliEncoder::new(TEXT)).await),
        ("zstd", all(ZstdEncoder::new(TEXT)).await),
        ("gzip, br", twice),
        ("identity", TEXT.to_vec()),
        ("aws-chunked", TEXT.to_vec()),
    ] {
        let HttpResponse { body, headers, .. } = got(encoded(coding, &body), TEXT.len()).await.unwrap();
        assert_eq!(body, TEXT, "{coding}");
        let described = headers.iter().any(|(name, _)| name == "content-encoding" || name == "content-length");
        assert_eq!(described, ["identity", "aws-chunked"].contains(&coding), "{coding}: {headers:?}");
    }
    assert_eq!(got(encoded("gzip", b""), 9).await.unwrap().body, "");
}

#[tokio::test]
async fn the_limit_is_that_of_the_decoded_bytes() {
    const LIMIT: usize = 1 << 20;
    let zeros = vec![0; 16 << 20];
    // 1 GiB.
    let bomb = all(GzipEncoder::new(&zeros[..])).await.repeat(64);
    assert!(bomb.len() < 2 << 20, "{}", bomb.len());
    let twice = all(GzipEncoder::new(&bomb[..])).await;
    for (coding, body) in [
        ("gzip", bomb),
        ("gzip, gzip", twice),
        ("br", all(BrotliEncoder::new(&zeros[..])).await),
        ("zstd", all(ZstdEncoder::new(&zeros[..])).await),
        ("deflate", all(ZlibEncoder::new(&zeros[..])).await),
    ] {
        let Failure { code, retry, .. } = got(encoded(coding, &body), LIMIT).await.unwrap_err();
        assert_eq!((code, retry), (Code::RESPONSE_TOO_LARGE, false), "{coding}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_decoded_is_an_error() {
    let cut = all(GzipEncoder::new(TEXT)).await;
    let mut wide = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00];
    // A window of 1 GiB.
    wide.extend([20 << 3, 0x01, 0x00, 0x00]);
    for (coding, body, retry) in [
        ("gzip", cut[..cut.len() - 4].to_vec(), true),
        ("gzip", b"plain text".to_vec(), true),
        ("br", b"plain text".to_vec(), true),
        ("deflate", b"\xff\xff\xff\xff".to_vec(), true),
        ("zstd", wide, true),
        ("compress", TEXT.to_vec(), false),
        ("gzip,gzip,gzip,gzip", TEXT.to_vec(), false),
    ] {
        let failure = got(encoded(coding, &body), 1 << 20).await.unwrap_err();
        assert_eq!((failure.code, failure.retry), (Code::BAD_ENCODING, retry), "{coding}: {failure}");
    }
}

#[tokio::test]
async fn what_is_accepted_is_up_to_the_call() {
    let address = scripted(HERE, |request| {
        let accepted = request.split("\r\n").find(|line| line.starts_with("accept-encoding: "));
        answer("200 OK", accepted.unwrap_or("nothing")).into_bytes()
    })
    .await;
    let network = Http::new(&Settings::default()).unwrap();
    for (header, accepted) in [
        (("x-a", "1"), "accept-encoding: gzip, br, zstd, deflate"),
        (("Accept-Encoding", "identity"), "accept-encoding: identity"),
        (("Range", "bytes=0-9"), "nothing"),
    ] {
        let headers = vec![(header.0.to_owned(), header.1.to_owned())];
        let url = format!("http://{address}/");
        let request = HttpRequest { method: "GET".into(), url, headers, body: Bytes::new() };
        assert_eq!(network.send(request, ChosenBy::Function).await.unwrap().body, accepted);
    }
}
