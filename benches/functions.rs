//! The functions that every message passes: framing, the look into it, events, derived headers.
//!
//! `cargo bench --bench functions` measures; `cargo test --bench functions` runs each once.

#![allow(missing_docs, reason = "the macros of criterion define public functions")]

use std::hint::black_box;
use std::io::Cursor;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use planhat_mcp::bridge::client::input::{Line, read_lines};
use planhat_mcp::message::peek::Params;
use planhat_mcp::message::{Kind, Peek, Revision, peek};
use planhat_mcp::remote::mcp_headers::McpHeaders;
use planhat_mcp::remote::sse::Decoder;

const CALL: &str = r#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"get_model_record","arguments":{"MODEL":"Company","OBJECT_ID":"5f1a2b3c4d5e6f7a8b9c0d1e"},"_meta":{"progressToken":12}}}"#;
/// How a large body usually comes from the network.
const PIECE: usize = 64 * 1024;

/// An answer of about this many bytes, of records as a tool returns them.
fn answer(bytes: usize) -> String {
    let record = r#"{\"_id\":\"5f1a2b3c4d5e6f7a8b9c0d1e\",\"name\":\"Acme\",\"phase\":\"Onboarding\"},"#;
    let text = record.repeat(bytes / record.len() + 1);
    format!(r#"{{"jsonrpc":"2.0","id":12,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
}

fn peeking(c: &mut Criterion) {
    let mut group = c.benchmark_group("peek");
    for (name, text) in
        [("call", CALL.to_owned()), ("answer of 10 kB", answer(10_000)), ("answer of 1 MB", answer(1_000_000))]
    {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| black_box(peek(black_box(text.as_bytes())).is_ok())));
    }
    group.finish();
}

fn events(c: &mut Criterion) {
    let mut group = c.benchmark_group("sse");
    let small = format!("id: 1\nevent: message\ndata: {CALL}\n\n");
    for (name, stream) in [
        ("a call's answer", small.clone()),
        ("1,000 events", small.repeat(1_000)),
        ("one event of 10 MB", format!("data: {}\n\n", answer(10_000_000))),
    ] {
        let pieces: Vec<Bytes> = stream.as_bytes().chunks(PIECE).map(Bytes::copy_from_slice).collect();
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut decoder = Decoder::new(1 << 26);
                let mut events = 0;
                for piece in &pieces {
                    decoder.push(piece.clone()).expect("within the bound");
                    while let Some(event) = decoder.next_event() {
                        black_box(event);
                        events += 1;
                    }
                }
                events
            });
        });
    }
    group.finish();
}

fn headers(c: &mut Criterion) {
    let mcp_headers = McpHeaders::default();
    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"get_model_record","inputSchema":{"properties":{"MODEL":{"type":"string","x-mcp-header":"Model"},"OBJECT_ID":{"type":"string"}}}}]}}"#;
    assert_eq!(mcp_headers.learn(&Bytes::from_static(list.as_bytes())), None, "its marks are valid");
    let Ok(Peek::One(Kind::Request { method, params, .. })) = peek(CALL.as_bytes()) else { unreachable!("a request") };
    let params = Params::of(params).expect("no member stands twice");
    c.bench_function("headers of a call", |b| {
        b.iter(|| mcp_headers.headers(&method, black_box(&params), &Revision::V_2026_07_28))
    });
}

fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("lines");
    for (name, input) in
        [("1,000 calls", format!("{CALL}\n").repeat(1_000)), ("one line of 10 MB", format!("{}\n", answer(10_000_000)))]
    {
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |b| {
            // With the thread that reads, and the channel that it writes to.
            let read = |input: Vec<u8>| {
                let mut lines = read_lines(Cursor::new(input), 1 << 26);
                let mut count = 0;
                while let Some(Line::Text(line)) = lines.blocking_recv() {
                    black_box(line);
                    count += 1;
                }
                count
            };
            b.iter_batched(|| input.clone().into_bytes(), read, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(functions, peeking, events, headers, framing);
criterion_main!(functions);
