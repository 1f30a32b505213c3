//! What holds whatever two applications do, in whatever order frames arrive.

use proptest::collection::vec;
use proptest::prelude::*;

use super::At;
use super::model::World;
use crate::broker::protocol::Limits;

/// Something that an application or a wire does. `pick` chooses among what
/// there is at that moment.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Open { at: At, bytes: bool, refused: bool },
    Close { at: At, pick: u8 },
    Call { at: At, pick: u8, parent: Option<u8> },
    Respond { at: At, pick: u8 },
    Write { at: At, pick: u8, count: usize },
    Finish { at: At, pick: u8 },
    Read { at: At, pick: u8, chunks: u8 },
    Reset { at: At, pick: u8 },
    Release { at: At, pick: u8 },
    Ping { at: At },
    GoAway { at: At },
    Transmit { at: At, count: u8 },
    Deliver { at: At, count: u8 },
    Advance { seconds: u8 },
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![Just(At::Host), Just(At::Plugin)]
}

fn operation() -> impl Strategy<Value = Operation> {
    let pick = || any::<u8>();
    prop_oneof![
        4 => (at(), any::<bool>(), proptest::bool::weighted(0.1))
            .prop_map(|(at, bytes, refused)| Operation::Open { at, bytes, refused }),
        1 => (at(), pick()).prop_map(|(at, pick)| Operation::Close { at, pick }),
        8 => (at(), pick(), proptest::option::of(pick()))
            .prop_map(|(at, pick, parent)| Operation::Call { at, pick, parent }),
        6 => (at(), pick()).prop_map(|(at, pick)| Operation::Respond { at, pick }),
        14 => (at(), pick(), prop_oneof![0..40usize, 0..8000usize])
            .prop_map(|(at, pick, count)| Operation::Write { at, pick, count }),
        4 => (at(), pick()).prop_map(|(at, pick)| Operation::Finish { at, pick }),
        14 => (at(), pick(), 1..6u8)
            .prop_map(|(at, pick, chunks)| Operation::Read { at, pick, chunks }),
        1 => (at(), pick()).prop_map(|(at, pick)| Operation::Reset { at, pick }),
        3 => (at(), pick()).prop_map(|(at, pick)| Operation::Release { at, pick }),
        1 => at().prop_map(|at| Operation::Ping { at }),
        1 => proptest::bool::weighted(0.1).prop_flat_map(|goes| at().prop_map(move |at| {
            if goes { Operation::GoAway { at } } else { Operation::Ping { at } }
        })),
        16 => (at(), 1..8u8).prop_map(|(at, count)| Operation::Transmit { at, count }),
        16 => (at(), 1..8u8).prop_map(|(at, count)| Operation::Deliver { at, count }),
        1 => (0..60u8).prop_map(|seconds| Operation::Advance { seconds }),
    ]
}

/// As many as the environment says (`PROPTEST_CASES`), or else `count`.
pub(super) fn cases(count: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default.cases,
        None => count,
    };
    ProptestConfig { cases, ..default }
}

/// Small ones, so that all of them are met.
pub(super) fn limits() -> impl Strategy<Value = Limits> {
    let windows = (1024..3000u32, 0..8000u32, 0..10_000u64);
    (windows, 1024..3000u32, 1..8u32, 1..12u32).prop_map(
        |((initial_window, growth, shared_window), frame_data, channels, streams)| Limits {
            channels,
            streams,
            initial_window,
            max_window: initial_window + growth,
            shared_window,
            frame_data,
            ..Limits::default()
        },
    )
}

/// Finishes everything that was begun, as patient applications would: both
/// write their end, both read, and who serves a call answers it after that.
fn carry_on(world: &mut World) {
    for _ in 0..10_000 {
        let mut moved = false;
        world.pair.settle();
        world.take_events();
        for flow in 0..world.flows.len() {
            for at in At::BOTH {
                if world.flows[flow].keys[at as usize].is_none() {
                    continue;
                }
                while world.read(at, flow) {
                    moved = true;
                }
                world.respond(at, flow);
                if world.flows[flow].may_finish(at) {
                    moved = true;
                    world.finish(at, flow);
                }
            }
        }
        if !moved {
            return;
        }
    }
    panic!("it never comes to rest");
}

proptest! {
    #![proptest_config(cases(48))]

    /// Invariants 1, 2 and 4, and no end without a cause.
    #[test]
    fn whatever_applications_do_bytes_arrive_in_order_or_fail_and_nothing_is_left(
        limits in limits(),
        operations in vec(operation(), 0..400),
    ) {
        let mut world = World::new(limits);
        operations.iter().for_each(|operation| world.apply(operation));
        world.wind_up();
    }

    /// Credit always comes back: what nobody cut off comes to its end.
    #[test]
    fn whatever_was_begun_and_not_cut_off_comes_to_its_end_if_both_read(
        limits in limits(),
        operations in vec(operation(), 0..300),
    ) {
        let mut world = World::new(limits);
        operations.iter().for_each(|operation| world.apply(operation));
        carry_on(&mut world);
        for flow in &world.flows {
            flow.assert_at_its_end();
        }
        world.wind_up();
    }
}
