//! The rules of knocking, one by one.

use std::time::Duration;
use std::time::Instant;

use super::*;

fn start() -> Instant {
    crate::broker::now()
}

fn actions(dialing: &mut Dialing) -> Vec<Action> {
    std::iter::from_fn(|| dialing.next_action()).collect()
}

/// The stream that the actions ask for.
fn opened(dialing: &mut Dialing) -> StreamId {
    match actions(dialing).as_slice() {
        [.., Action::Open(stream)] => *stream,
        other => panic!("{other:?}"),
    }
}

fn failed(request: RequestId, error: DialError) -> Action {
    Action::Fail(request, error)
}

#[test]
fn a_knock_an_acknowledgement_a_stream_and_then_the_next() {
    let (mut dialing, now) = (Dialing::default(), start());
    let first = dialing.dial(7, now).unwrap();
    let second = dialing.dial(8, now).unwrap();
    assert_eq!(actions(&mut dialing), [Action::Knock(7)]);
    dialing.on_ack(7, "", now);
    let stream = opened(&mut dialing);
    dialing.on_taken(stream, now);
    assert_eq!(actions(&mut dialing), [Action::Give(stream, first), Action::Knock(8)]);
    dialing.on_ack(8, "", now);
    let stream = opened(&mut dialing);
    dialing.on_taken(stream, now);
    assert_eq!(actions(&mut dialing), [Action::Give(stream, second)]);
    assert!(dialing.is_idle());
    assert_eq!(dialing.next_timeout(), None);
}

#[test]
fn two_dials_of_one_id_knock_one_after_the_other() {
    let (mut dialing, now) = (Dialing::default(), start());
    let first = dialing.dial(7, now).unwrap();
    dialing.dial(7, now).unwrap();
    assert_eq!(actions(&mut dialing), [Action::Knock(7)]);
    dialing.on_time(now + PATIENCE);
    assert_eq!(actions(&mut dialing), []);
    dialing.on_ack(7, "", now);
    let stream = opened(&mut dialing);
    dialing.on_taken(stream, now);
    assert_eq!(actions(&mut dialing), [Action::Give(stream, first), Action::Knock(7)]);
}

#[test]
fn a_refusal_fails_the_dials_of_its_id_and_no_other() {
    let (mut dialing, now) = (Dialing::default(), start());
    let first = dialing.dial(7, now).unwrap();
    dialing.dial(8, now).unwrap();
    let third = dialing.dial(7, now).unwrap();
    dialing.on_ack(7, "no listener", now);
    let refused = || DialError::Refused { id: 7, text: "no listener".to_owned() };
    let expected =
        [Action::Knock(7), failed(first, refused()), failed(third, refused()), Action::Knock(8)];
    assert_eq!(actions(&mut dialing), expected);
}

#[test]
fn an_acknowledgement_of_nothing_is_reported() {
    let (mut dialing, now) = (Dialing::default(), start());
    dialing.dial(7, now).unwrap();
    dialing.on_ack(9, "", now);
    let expected = [Action::Knock(7), Action::Report(Odd::Unrequested { id: 9 })];
    assert_eq!(actions(&mut dialing), expected);
}

#[test]
fn a_knock_without_an_answer_holds_the_next_one_up_for_a_moment_only() {
    let (mut dialing, now) = (Dialing::default(), start());
    let dead = dialing.dial(7, now).unwrap();
    assert_eq!(dialing.next_timeout(), Some(now + KNOCK_LIMIT));
    dialing.dial(8, now).unwrap();
    assert_eq!(actions(&mut dialing), [Action::Knock(7)]);
    assert_eq!(dialing.next_timeout(), Some(now + PATIENCE));
    dialing.on_time(now + PATIENCE);
    assert_eq!(actions(&mut dialing), [Action::Knock(8)]);
    dialing.on_time(now + KNOCK_LIMIT);
    assert_eq!(actions(&mut dialing), [failed(dead, DialError::NoAnswer { id: 7 })]);
}

#[test]
fn a_late_acknowledgement_takes_its_turn_if_nothing_else_is_under_way() {
    let (mut dialing, now) = (Dialing::default(), start());
    let late = dialing.dial(7, now).unwrap();
    actions(&mut dialing);
    let now = now + 4 * PATIENCE;
    dialing.on_ack(7, "", now);
    let stream = opened(&mut dialing);
    dialing.on_taken(stream, now);
    assert_eq!(actions(&mut dialing), [Action::Give(stream, late)]);
}

#[test]
fn an_acknowledgement_after_the_dial_was_cancelled_still_gets_a_stream() {
    let (mut dialing, now) = (Dialing::default(), start());
    let cancelled = dialing.dial(7, now).unwrap();
    dialing.cancel(cancelled, now);
    actions(&mut dialing);
    dialing.on_ack(7, "", now);
    let stream = opened(&mut dialing);
    dialing.on_taken(stream, now);
    assert_eq!(actions(&mut dialing), [Action::Reset(stream)]);
    assert!(dialing.is_idle());
}

/// 7 is silent, 8 knocks; then both are acknowledged.
fn mixed(first: u32, second: u32) -> (Dialing, Instant, [StreamId; 2]) {
    let (mut dialing, now) = (Dialing::default(), start());
    dialing.dial(7, now).unwrap();
    dialing.dial(8, now).unwrap();
    dialing.on_time(now + PATIENCE);
    dialing.on_ack(first, "", now + PATIENCE);
    let one = opened(&mut dialing);
    dialing.on_ack(second, "", now + PATIENCE);
    let other = opened(&mut dialing);
    (dialing, now + PATIENCE, [one, other])
}

#[test]
fn two_ids_in_a_round_are_both_reset_and_knock_again() {
    for (first, second) in [(7, 8), (8, 7)] {
        let (mut dialing, now, [one, other]) = mixed(first, second);
        dialing.on_taken(other, now);
        assert_eq!(actions(&mut dialing), [Action::Reset(other)]);
        dialing.on_taken(one, now);
        let again = actions(&mut dialing);
        assert!(matches!(again.as_slice(), [Action::Reset(_), Action::Knock(_)]), "{again:?}");
        let later = now + 2 * PATIENCE;
        dialing.on_time(later);
        assert!(matches!(actions(&mut dialing).as_slice(), [Action::Knock(_)]));
    }
}

#[test]
fn a_taken_stream_is_held_while_another_id_may_have_taken_it() {
    let (mut dialing, now) = (Dialing::default(), start());
    dialing.dial(7, now).unwrap();
    let wanted = dialing.dial(8, now).unwrap();
    let now = now + PATIENCE;
    dialing.on_time(now);
    dialing.on_ack(8, "", now);
    let stream = opened(&mut dialing);
    dialing.on_taken(stream, now);
    assert_eq!(actions(&mut dialing), []);
    assert_eq!(dialing.next_timeout(), Some(now + PROBATION));

    // 7 was awake, and may have it.
    dialing.on_ack(7, "", now);
    let actions_now = actions(&mut dialing);
    let [Action::Report(Odd::Mixed { id: 7 }), Action::Reset(reset), Action::Open(other)] =
        actions_now.as_slice()
    else {
        panic!("{actions_now:?}");
    };
    assert_eq!(*reset, stream);
    dialing.on_taken(*other, now);
    actions(&mut dialing);
    dialing.on_time(now + PROBATION);
    assert_eq!(actions(&mut dialing), [Action::Knock(7)]);
    let now = now + PROBATION + PATIENCE;
    dialing.on_time(now);
    assert_eq!(actions(&mut dialing), [Action::Knock(8)]);

    // Once more, and nothing comes.
    dialing.on_ack(8, "", now);
    let stream = opened(&mut dialing);
    dialing.on_taken(stream, now);
    dialing.on_time(now + PROBATION);
    let given = actions(&mut dialing);
    assert!(given.contains(&Action::Give(stream, wanted)), "{given:?}");
}

#[test]
fn a_third_id_that_took_a_stream_of_two_others_joins_their_round() {
    let (mut dialing, now) = (Dialing::default(), start());
    for id in [6, 7, 8] {
        dialing.dial(id, now).unwrap();
    }
    dialing.on_time(now + PATIENCE);
    let now = now + 2 * PATIENCE;
    dialing.on_time(now);
    dialing.on_ack(7, "", now);
    let one = opened(&mut dialing);
    dialing.on_ack(8, "", now);
    let other = opened(&mut dialing);
    dialing.on_taken(one, now);
    dialing.on_taken(other, now);
    assert_eq!(actions(&mut dialing), [Action::Reset(one), Action::Reset(other)]);
    // 6 has one of the two, and the listener whose stream it was still waits.
    dialing.on_ack(6, "", now);
    let third = opened(&mut dialing);
    dialing.on_taken(third, now);
    dialing.on_time(now + PROBATION);
    let reset_and_knock = actions(&mut dialing);
    assert!(matches!(reset_and_knock.as_slice(), [Action::Reset(_), Action::Knock(_)]));
}

#[test]
fn two_acknowledgements_of_one_id_are_a_round_of_two() {
    let (mut dialing, now) = (Dialing::default(), start());
    let cancelled = dialing.dial(7, now).unwrap();
    dialing.cancel(cancelled, now);
    let wanted = dialing.dial(7, now).unwrap();
    let now = now + PATIENCE;
    dialing.on_time(now);
    assert_eq!(actions(&mut dialing), [Action::Knock(7), Action::Knock(7)]);
    dialing.on_ack(7, "", now);
    let one = opened(&mut dialing);
    dialing.on_taken(one, now);
    assert_eq!(actions(&mut dialing), []);
    dialing.on_ack(7, "", now);
    let other = opened(&mut dialing);
    dialing.on_taken(other, now);
    dialing.on_time(now + PROBATION);
    let now = now + PATIENCE;
    dialing.on_time(now);
    assert_eq!(actions(&mut dialing), [Action::Reset(other), Action::Knock(7)]);
    dialing.on_ack(7, "", now);
    let stream = opened(&mut dialing);
    dialing.on_taken(stream, now);
    assert_eq!(actions(&mut dialing), [Action::Give(stream, wanted)]);
}

#[test]
fn a_stream_that_is_not_taken_becomes_that_of_the_next_acknowledgement() {
    let (mut dialing, now) = (Dialing::default(), start());
    let dead = dialing.dial(7, now).unwrap();
    dialing.on_ack(7, "", now);
    let stream = opened(&mut dialing);
    let next = dialing.dial(8, now).unwrap();
    assert_eq!(actions(&mut dialing), []);
    let now = now + TAKE_LIMIT;
    dialing.on_time(now);
    let expected = [
        failed(dead, DialError::NotTaken { id: 7 }),
        Action::Report(Odd::NotTaken { id: 7 }),
        Action::Knock(8),
    ];
    assert_eq!(actions(&mut dialing), expected);
    dialing.on_ack(8, "", now);
    assert_eq!(actions(&mut dialing), []);
    dialing.on_taken(stream, now);
    assert_eq!(actions(&mut dialing), [Action::Give(stream, next)]);
}

#[test]
fn a_dial_that_never_gets_its_turn_fails() {
    let (mut dialing, now) = (Dialing::default(), start());
    for id in 0..200 {
        dialing.dial(id, now).unwrap();
    }
    let mut at = now;
    while let Some(next) = dialing.next_timeout() {
        at = at.max(next);
        dialing.on_time(at);
    }
    assert!(at <= now + DIAL_LIMIT + KNOCK_LIMIT);
    let no_turn = |action: &Action| matches!(action, Action::Fail(_, DialError::NoTurn { .. }));
    assert!(actions(&mut dialing).iter().any(no_turn));
    assert!(dialing.is_idle());
}

#[test]
fn the_end_of_the_session_fails_everything() {
    let (mut dialing, now, _) = mixed(7, 8);
    dialing.dial(9, now).unwrap();
    dialing.on_session_end();
    let ended = |action: &Action| matches!(action, Action::Fail(_, DialError::SessionEnded));
    let all = actions(&mut dialing);
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(ended));
    assert!(dialing.is_idle());
    assert_eq!(dialing.dial(1, now), Err(DialError::SessionEnded));
}

#[test]
fn dials_and_silent_ids_have_a_limit() {
    let (mut dialing, mut now) = (Dialing::default(), start());
    for id in 0..MAX_DIALS as u32 {
        dialing.dial(id, now).unwrap();
    }
    assert_eq!(dialing.dial(5000, now), Err(DialError::TooMany));
    let mut dialing = Dialing::default();
    for id in 0..=MAX_SILENT as u32 {
        let request = dialing.dial(id, now).unwrap();
        dialing.cancel(request, now);
        now += PATIENCE;
    }
    assert!(actions(&mut dialing).contains(&Action::Report(Odd::Forgotten { id: 0 })));
}

fn yes() -> Answer {
    Answer { error: String::new(), dropped: None }
}

#[test]
fn the_stream_after_a_knock_belongs_to_its_id_and_others_to_the_main_server() {
    let now = start();
    for (place, other) in [(Place::Plugin, Inbound::Main), (Place::Host, Inbound::Nobody(None))] {
        let mut accepting = Accepting::new(place);
        assert_eq!(accepting.register(7), Ok(true));
        assert_eq!(accepting.register(7), Ok(false));
        assert_eq!(accepting.on_stream(now), other);
        assert_eq!(accepting.on_knock(7, now), yes());
        assert_eq!(accepting.on_stream(now), Inbound::Id(7));
        assert_eq!(accepting.on_stream(now), other);
    }
}

#[test]
fn an_unknown_id_is_refused_at_once() {
    let (mut accepting, now) = (Accepting::new(Place::Plugin), start());
    let refused = Answer { error: "no listener for id 7".to_owned(), dropped: None };
    assert_eq!(accepting.on_knock(7, now), refused);
    assert_eq!(accepting.on_stream(now), Inbound::Main);
    accepting.register(7).unwrap();
    accepting.unregister(7);
    assert_eq!(accepting.on_knock(7, now), refused);
}

#[test]
fn a_knock_replaces_one_whose_stream_never_came() {
    let (mut accepting, now) = (Accepting::new(Place::Plugin), start());
    accepting.register(7).unwrap();
    accepting.register(8).unwrap();
    assert_eq!(accepting.on_knock(7, now), yes());
    assert_eq!(accepting.on_knock(7, now), yes());
    assert_eq!(accepting.on_knock(8, now), Answer { error: String::new(), dropped: Some(7) });
    assert_eq!(accepting.on_stream(now), Inbound::Id(8));
    assert_eq!(accepting.on_stream(now), Inbound::Main);
}

#[test]
fn a_stream_for_an_id_that_was_closed_or_comes_too_late_is_nobodys() {
    let (mut accepting, now) = (Accepting::new(Place::Host), start());
    accepting.register(7).unwrap();
    accepting.on_knock(7, now);
    let late = now + STREAM_LIMIT + Duration::from_millis(1);
    assert_eq!(accepting.on_stream(late), Inbound::Nobody(Some(7)));
    accepting.on_knock(7, now);
    accepting.unregister(7);
    assert_eq!(accepting.on_stream(now), Inbound::Nobody(Some(7)));
}

#[test]
fn accepted_ids_have_a_limit() {
    let mut accepting = Accepting::new(Place::Host);
    for id in 0..MAX_ACCEPTED as u32 {
        accepting.register(id).unwrap();
    }
    assert_eq!(accepting.register(u32::MAX), Err(TooManyIds));
    assert_eq!(accepting.register(0), Ok(false));
}
