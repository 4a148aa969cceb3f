//! The decoder, byte by byte.

use super::*;

/// What comes of a stream that ends after these bytes.
fn at_the_end(bytes: &[u8], step: usize) -> Vec<String> {
    let mut decoder = Decoder::new(1_000);
    for piece in bytes.chunks(step) {
        decoder.push(Bytes::copy_from_slice(piece)).expect("within the bound");
    }
    decoder.finish();
    std::iter::from_fn(|| decoder.next_event()).map(|event| String::from_utf8(event.to_vec()).expect("UTF-8")).collect()
}

#[test]
fn a_last_event_without_its_blank_line_counts_if_its_message_is_whole() {
    const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let head = "event: message\ndata: ";
    for step in [1, 7, 1_000] {
        for end in ["", "\n", "\r\n", "\r"] {
            assert_eq!(at_the_end(format!("{head}{MESSAGE}{end}").as_bytes(), step), [MESSAGE], "{end:?}");
        }
        let cut = &MESSAGE[..MESSAGE.len() - 1];
        for rest in [cut, "", "{", "1"] {
            assert!(at_the_end(format!("{head}{rest}").as_bytes(), step).is_empty(), "{rest:?}");
        }
        assert!(at_the_end(format!("event: ping\ndata: {MESSAGE}").as_bytes(), step).is_empty());
    }
}

#[test]
fn a_json_text_in_the_place_of_a_stream_is_one_message() {
    let message = "{\"jsonrpc\":\"2.0\",\n\n\"id\":1,\"result\":{}}";
    for step in [1, 5, 1_000] {
        assert_eq!(at_the_end(message.as_bytes(), step), [message]);
        assert_eq!(at_the_end(format!("[{message}]").as_bytes(), step), [format!("[{message}]")]);
        assert!(at_the_end(&message.as_bytes()[..20], step).is_empty(), "cut");
    }
    let mut decoder = Decoder::new(10);
    assert_eq!(decoder.push(Bytes::from_static(b"{\"a\":[1,2,3]}")), Err(EventTooLarge(10)));
}

fn decode(pieces: &[&[u8]]) -> (Vec<String>, Option<String>, Option<Duration>) {
    let mut decoder = Decoder::new(1_000);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece)).expect("within the bound");
        while let Some(event) = decoder.next_event() {
            events.push(String::from_utf8(event.to_vec()).expect("UTF-8"));
        }
    }
    (events, decoder.last_event_id().map(str::to_owned), decoder.retry())
}

const STREAM: &[u8] =
    b"\xef\xbb\xbf: hello\r\nid: 1\r\nretry: 1500\r\ndata: \r\n\r\nevent: message\ndata:{\"a\":1}\nid: 2\n\n\
    data: x\rdata: y\r\rdata\n\ndata: lost, for its end never came";

#[test]
fn any_split_of_the_bytes_gives_the_same_events() {
    let expected =
        (vec!["{\"a\":1}".to_owned(), "x\ny".to_owned()], Some("2".to_owned()), Some(Duration::from_millis(1_500)));
    assert_eq!(decode(&[STREAM]), expected);
    for first in 0..STREAM.len() {
        for second in first..STREAM.len() {
            let pieces = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
            assert_eq!(decode(&pieces), expected, "split at {first} and {second}");
        }
    }
    let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
    assert_eq!(decode(&bytes), expected);
}

#[test]
fn events_of_other_types_are_not_messages_but_their_ids_count() {
    let (events, id, _) = decode(&[b"event: ping\nid: 7\ndata: {}\n\nevent: message\ndata: a\n\ndata: b\n\n"]);
    assert_eq!((events, id.as_deref()), (vec!["a".to_owned(), "b".to_owned()], Some("7")));
}

#[test]
fn an_event_of_type_error_is_no_message_and_can_be_asked_for() {
    let mut decoder = Decoder::new(100);
    decoder.push(Bytes::from_static(b"event: error\ndata: no\n\nevent: ping\ndata: x\n\n")).expect("within the bound");
    assert_eq!(decoder.next_event(), None);
    assert_eq!(decoder.take_error().as_deref(), Some(&b"no"[..]));
    assert_eq!(decoder.take_error(), None);
}

#[test]
fn an_id_counts_only_once_its_event_is_complete() {
    let (_, id, _) = decode(&[b"id: 1\ndata: a\n\nid: 2\ndata: b\n"]);
    assert_eq!(id.as_deref(), Some("1"));
}

#[test]
fn an_empty_id_forgets_the_last_one() {
    let (_, id, _) = decode(&[b"id: 1\ndata: a\n\nid\ndata: b\n\n"]);
    assert_eq!(id, None);
}

#[test]
fn an_id_that_no_header_could_carry_is_not_kept() {
    let id = |bytes: usize| format!("id: 1\ndata: a\n\nid: {}\ndata: b\n\n", "x".repeat(bytes));
    let kept = |bytes: usize| {
        let mut decoder = Decoder::new(1 << 20);
        decoder.push(Bytes::from(id(bytes))).expect("within the bound");
        decoder.last_event_id().map(str::len)
    };
    assert_eq!(kept(EVENT_ID_BYTES), Some(EVENT_ID_BYTES));
    assert_eq!(kept(EVENT_ID_BYTES + 1), None, "nor is the one before, which is no longer the last");
}

#[test]
fn an_event_over_the_bound_is_refused_before_it_is_whole() {
    let mut decoder = Decoder::new(10);
    decoder.push(Bytes::from_static(b"data: 0123456789\n\n")).expect("at the bound");
    assert_eq!(decoder.next_event().as_deref(), Some(&b"0123456789"[..]));
    assert_eq!(decoder.push(Bytes::from_static(b"data: 0123456789a")), Err(EventTooLarge(10)));
    let mut decoder = Decoder::new(10);
    assert_eq!(decoder.push(Bytes::from_static(b"data: 01234\ndata: 012345\n")), Err(EventTooLarge(10)));
}

#[test]
fn lines_without_content_count_too() {
    let mut decoder = Decoder::new(10);
    assert_eq!(decoder.push(Bytes::from("data\n".repeat(11))), Ok(()), "ten line feeds");
    assert_eq!(decoder.push(Bytes::from_static(b"data\n")), Err(EventTooLarge(10)));
}

#[test]
fn a_line_that_is_no_data_is_bounded_however_it_comes() {
    let comment = format!(": {}\n\n", "x".repeat(100));
    for step in [1, 50, comment.len()] {
        let mut decoder = Decoder::new(10);
        let mut pieces = comment.as_bytes().chunks(step);
        assert!(pieces.any(|piece| decoder.push(Bytes::copy_from_slice(piece)).is_err()), "in steps of {step}");
    }
}

#[test]
fn a_time_to_wait_that_is_no_number_of_ours_leaves_the_one_before() {
    let (_, _, retry) = decode(&[b"retry: 7\nretry: 99999999999999999999\n\n"]);
    assert_eq!(retry, Some(Duration::from_millis(7)));
}

#[test]
fn what_a_stream_keeps_beside_its_messages_is_small() {
    let mut decoder = Decoder::new(1 << 20);
    let mut push = |text: String| {
        decoder.push(Bytes::from(text)).expect("within the bound");
        decoder.take_error().map(|error| error.len())
    };
    let error = |bytes: usize| format!("event: error\ndata: {}\n\n", "e".repeat(bytes));
    assert_eq!(push(error(ERROR_EVENT_BYTES)), Some(ERROR_EVENT_BYTES));
    assert_eq!(push(error(ERROR_EVENT_BYTES + 1)), None);
    push("data: 1\n\n".repeat(50_000));
    while decoder.next_event().is_some() {}
    assert!(decoder.ready.capacity() <= MAX_IDLE_EVENTS);
}

#[test]
fn the_transport_of_2024_is_recognised_by_its_first_event() {
    let names = |bytes: &'static str| {
        let mut decoder = Decoder::new(100);
        decoder.push(Bytes::from_static(bytes.as_bytes())).expect("within the bound");
        assert_eq!(decoder.next_event(), None, "it is no message");
        decoder.names_endpoint()
    };
    assert!(names("event: endpoint\ndata: /messages?sessionId=1\n\n"));
    assert!(!names("event: endpoint\n\n"), "without an address");
    assert!(!names("event: ping\ndata: endpoint\n\n"));
}
