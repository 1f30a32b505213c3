//! Who fetches, who waits and who shares: without a plugin, a clock or a thread.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::oneshot;

use super::Fetched;
use super::SchemaCache;
use super::SchemaStats;
use super::Schemas;
use crate::host::pin::Sha256Pin;

type Cache = SchemaCache<u32, &'static str>;
type Instance = Schemas<u32, &'static str>;
type Answer = Result<Fetched<u32>, &'static str>;

const OLD: Option<Sha256Pin> = Some(Sha256Pin::new([1; 32]));
const NEW: Option<Sha256Pin> = Some(Sha256Pin::new([2; 32]));

/// A plugin that counts how often it is asked, and answers with that.
#[derive(Clone, Default)]
struct Plugin(Arc<AtomicU32>);

impl Plugin {
    async fn get(&self, instance: &Instance, wrap: fn(u32) -> Fetched<u32>) -> u32 {
        let plugin = self.clone();
        let fetch = move || async move {
            let nth = plugin.0.fetch_add(1, Ordering::SeqCst) + 1;
            // Let all others ask, too.
            tokio::task::yield_now().await;
            Ok(wrap(nth))
        };
        *instance.get(fetch).await.expect("it answers")
    }
}

/// A plugin whose answer the test holds back.
fn held_back() -> (oneshot::Sender<Answer>, impl Future<Output = Answer> + Send + 'static) {
    let (answer, answered) = oneshot::channel();
    (answer, answered.map(|answer| answer.expect("the test answers")))
}

fn never() -> std::future::Pending<Answer> {
    panic!("it must not be fetched")
}

/// All ask before there is an answer; only the first may fetch.
async fn answers_to(instances: &[Instance], answer: Fetched<u32>) -> Vec<u32> {
    let (answers, answered) = held_back();
    let mut answered = Some(answered);
    let mut getting: Vec<_> = instances
        .iter()
        .map(|instance| {
            let mine = answered.take();
            let fetch = move || mine.expect("only the first fetches");
            instance.get(fetch).boxed()
        })
        .collect();
    for get in &mut getting {
        assert!(get.now_or_never().is_none());
    }
    answers.send(Ok(answer)).expect("it is waited for");
    join_all(getting).await.into_iter().map(|schema| *schema.expect("it answers")).collect()
}

#[tokio::test]
async fn fifty_instances_that_ask_at_once_cause_one_fetch() {
    let cache = Cache::new();
    let instances: Vec<_> = (0..50).map(|_| cache.instance("a", OLD)).collect();
    assert_eq!(answers_to(&instances, Fetched::shared(7)).await, [7; 50]);
    let expected = SchemaStats { joined: 49, fetches: 1, ..SchemaStats::default() };
    assert_eq!(cache.stats(), expected);
    assert_eq!(cache.instance("a", OLD).get(never).await.as_deref(), Ok(&7));
    assert_eq!(cache.stats(), SchemaStats { hits: 1, ..expected });
}

#[tokio::test]
async fn fifty_tasks_of_one_instance_cause_one_fetch_whoever_may_have_the_answer() {
    for (program, answer) in
        [(OLD, Fetched::shared(7)), (OLD, Fetched::of_instance(7)), (None, Fetched::shared(7))]
    {
        let cache = Cache::new();
        let instance = cache.instance("a", program);
        assert_eq!(answers_to(&vec![instance.clone(); 50], answer).await, [7; 50]);
        assert_eq!(instance.get(never).await.as_deref(), Ok(&7));
        let expected = SchemaStats { hits: 1, joined: 49, fetches: 1, ..SchemaStats::default() };
        assert_eq!(cache.stats(), expected);
    }
}

#[tokio::test]
async fn an_answer_of_one_instance_is_fetched_by_each_of_them_once() {
    let (cache, plugin) = (Cache::new(), Plugin::default());
    let instances: Vec<_> = (0..5).map(|_| cache.instance("a", OLD)).collect();
    let get = |instance| plugin.get(instance, Fetched::of_instance);
    // All wait for the first, and then ask for themselves.
    let mut answers = join_all(instances.iter().map(get)).await;
    let again = join_all(instances.iter().map(get)).await;
    assert_eq!(answers, again);
    answers.sort_unstable();
    assert_eq!(answers, [1, 2, 3, 4, 5]);
    assert_eq!(get(&cache.instance("a", OLD)).await, 6);
}

#[tokio::test]
async fn those_who_learn_that_they_share_nothing_fetch_at_the_same_time() {
    let cache = Cache::new();
    let [first, second, third] = [(); 3].map(|()| cache.instance("a", OLD));
    let ((one, answer_one), (two, answer_two), (three, answer_three)) =
        (held_back(), held_back(), held_back());
    let mut getting = [
        first.get(move || answer_one).boxed(),
        second.get(move || answer_two).boxed(),
        third.get(move || answer_three).boxed(),
    ];
    for get in &mut getting {
        assert!(get.now_or_never().is_none());
    }
    assert_eq!(cache.stats().fetches, 1);
    one.send(Ok(Fetched::of_instance(1))).expect("it is waited for");
    let [get_one, get_two, get_three] = &mut getting;
    assert_eq!(get_one.await.as_deref(), Ok(&1));
    assert!(get_two.now_or_never().is_none() && get_three.now_or_never().is_none());
    assert_eq!(cache.stats().fetches, 3, "neither waits for the other");
    three.send(Ok(Fetched::of_instance(3))).expect("it is waited for");
    assert_eq!(get_three.await.as_deref(), Ok(&3));
    two.send(Ok(Fetched::of_instance(2))).expect("it is waited for");
    assert_eq!(get_two.await.as_deref(), Ok(&2));
}

#[tokio::test]
async fn another_program_at_the_address_drops_what_was_known() {
    let (cache, plugin) = (Cache::new(), Plugin::default());
    let before = cache.instance("a", OLD);
    assert_eq!(plugin.get(&before, Fetched::shared).await, 1);
    let after = cache.instance("a", NEW);
    assert_eq!(plugin.get(&after, Fetched::shared).await, 2);
    assert_eq!((cache.stats().replaced, cache.len()), (1, 1));
    // Who runs the old one keeps what it has; who begins to run it asks.
    assert_eq!(before.get(never).await.as_deref(), Ok(&1));
    assert_eq!(plugin.get(&cache.instance("a", NEW), Fetched::shared).await, 2);
    assert_eq!(plugin.get(&cache.instance("a", OLD), Fetched::shared).await, 3);
}

#[tokio::test]
async fn an_answer_that_comes_after_the_program_has_changed_is_its_askers_alone() {
    let cache = Cache::new();
    let (answer, answered) = held_back();
    let before = cache.instance("a", OLD);
    let mut late = pin!(before.get(move || answered));
    assert!(late.as_mut().now_or_never().is_none());
    let after = cache.instance("a", NEW).get(|| async { Ok(Fetched::shared(2)) }).await;
    assert_eq!(after.as_deref(), Ok(&2));
    answer.send(Ok(Fetched::shared(1))).expect("it is waited for");
    assert_eq!(late.await.as_deref(), Ok(&1));
    assert_eq!(cache.instance("a", NEW).get(never).await.as_deref(), Ok(&2));
}

#[tokio::test]
async fn an_error_reaches_all_who_wait_and_the_next_fetches_again() {
    for program in [OLD, None] {
        let cache = Cache::new();
        let instance = cache.instance("a", program);
        let (answer, answered) = held_back();
        let mut first = pin!(instance.get(move || answered));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = pin!(instance.get(never));
        assert!(second.as_mut().now_or_never().is_none());
        answer.send(Err("no")).expect("it is waited for");
        assert_eq!(first.await, Err("no"));
        // `second` has not looked yet, and is not what the next joins.
        let third = instance.get(|| async { Ok(Fetched::shared(3)) }).await;
        assert_eq!(third.as_deref(), Ok(&3));
        assert_eq!(second.await, Err("no"));
        assert_eq!((cache.stats().fetches, cache.stats().failures), (2, 1));
    }
}

#[tokio::test]
async fn one_who_gives_up_takes_nothing_from_the_others() {
    for program in [OLD, None] {
        let cache = Cache::new();
        let instance = cache.instance("a", program);
        let (answer, answered) = held_back();
        let mut first = instance.get(move || answered).boxed();
        assert!((&mut first).now_or_never().is_none());
        let mut second = pin!(instance.get(never));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        answer.send(Ok(Fetched::shared(1))).expect("it is waited for");
        assert_eq!(second.await.as_deref(), Ok(&1));
        assert_eq!(cache.stats().fetches, 1);
    }
}

#[tokio::test]
async fn if_all_give_up_the_fetch_is_dropped_and_the_next_fetches() {
    for program in [OLD, None] {
        let cache = Cache::new();
        let instance = cache.instance("a", program);
        let (answer, answered) = held_back();
        assert!(instance.get(move || answered).now_or_never().is_none());
        assert!(answer.is_closed());
        let next = instance.get(|| async { Ok(Fetched::shared(2)) }).await;
        assert_eq!(next.as_deref(), Ok(&2));
    }
}

#[tokio::test]
async fn without_a_program_nothing_is_shared() {
    let (cache, plugin) = (Cache::new(), Plugin::default());
    for nth in 1..=3 {
        let instance = cache.instance("a", None);
        assert_eq!(plugin.get(&instance, Fetched::shared).await, nth);
    }
    assert!(cache.is_empty());
}

#[tokio::test]
async fn the_address_that_was_asked_for_longest_ago_makes_room() {
    let plugin = Plugin::default();
    let cache = Cache::with_capacity(NonZeroUsize::new(2).expect("not zero"));
    for (address, nth) in [("a", 1), ("b", 2), ("a", 1), ("c", 3), ("a", 1), ("b", 4)] {
        let instance = cache.instance(address, OLD);
        assert_eq!(plugin.get(&instance, Fetched::shared).await, nth, "{address}");
    }
    assert_eq!((cache.len(), cache.stats().evicted), (2, 2));
}

#[tokio::test]
async fn a_forgotten_address_is_fetched_again_and_who_has_its_schema_keeps_it() {
    let (cache, plugin) = (Cache::new(), Plugin::default());
    let instance = cache.instance("a", OLD);
    assert_eq!(plugin.get(&instance, Fetched::shared).await, 1);
    cache.remove("a");
    assert_eq!(plugin.get(&instance, Fetched::shared).await, 1);
    assert_eq!(plugin.get(&cache.instance("a", OLD), Fetched::shared).await, 2);
}

#[test]
fn an_instance_that_is_dropped_leaves_nothing_of_its_own() {
    let cache = SchemaCache::<Arc<()>, &'static str>::new();
    let schema = Arc::new(());
    let fetched = schema.clone();
    let instance = cache.instance("a", OLD);
    let get = instance.get(|| async { Ok(Fetched::of_instance(fetched)) });
    assert!(get.now_or_never().expect("at once").is_ok());
    assert_eq!(Arc::strong_count(&schema), 2);
    drop(instance);
    assert_eq!(Arc::strong_count(&schema), 1);
}

#[tokio::test]
async fn what_was_fetched_before_an_address_was_forgotten_is_not_remembered() {
    let cache = Cache::new();
    let instance = cache.instance("a", OLD);
    let ((old, answer_old), (new, answer_new)) = (held_back(), held_back());
    let mut before = pin!(instance.get(move || answer_old));
    assert!(before.as_mut().now_or_never().is_none());
    cache.remove("a");
    let mut after = pin!(instance.get(move || answer_new));
    assert!(after.as_mut().now_or_never().is_none());
    old.send(Ok(Fetched::shared(1))).expect("it is waited for");
    assert_eq!(before.await.as_deref(), Ok(&1));
    // The fetch that has begun since is the one that others join.
    let other = cache.instance("a", OLD);
    let mut joined = pin!(other.get(never));
    assert!(joined.as_mut().now_or_never().is_none());
    new.send(Ok(Fetched::shared(2))).expect("it is waited for");
    assert_eq!((after.await.as_deref(), joined.await.as_deref()), (Ok(&2), Ok(&2)));
    assert_eq!(cache.instance("a", OLD).get(never).await.as_deref(), Ok(&2));
}

#[tokio::test]
async fn a_fetch_that_fails_after_its_address_was_forgotten_harms_no_other() {
    let cache = Cache::new();
    let instance = cache.instance("a", OLD);
    let ((old, answer_old), (new, answer_new)) = (held_back(), held_back());
    let mut before = pin!(instance.get(move || answer_old));
    assert!(before.as_mut().now_or_never().is_none());
    cache.remove("a");
    let mut after = pin!(instance.get(move || answer_new));
    assert!(after.as_mut().now_or_never().is_none());
    old.send(Err("no")).expect("it is waited for");
    assert_eq!(before.await, Err("no"));
    let other = cache.instance("a", OLD);
    let mut joined = pin!(other.get(never));
    assert!(joined.as_mut().now_or_never().is_none());
    new.send(Ok(Fetched::shared(2))).expect("it is waited for");
    assert_eq!((after.await.as_deref(), joined.await.as_deref()), (Ok(&2), Ok(&2)));
}

#[tokio::test]
async fn an_address_that_is_being_fetched_is_the_last_to_make_room() {
    let plugin = Plugin::default();
    let cache = Cache::with_capacity(NonZeroUsize::new(2).expect("not zero"));
    let fetching = cache.instance("slow", OLD);
    let (answer, answered) = held_back();
    let mut slow = pin!(fetching.get(move || answered));
    assert!(slow.as_mut().now_or_never().is_none());
    for address in ["b", "c", "d"] {
        plugin.get(&cache.instance(address, OLD), Fetched::shared).await;
    }
    assert_eq!((cache.len(), cache.stats().evicted), (2, 2));
    let other = cache.instance("slow", OLD);
    let mut joined = pin!(other.get(never));
    assert!(joined.as_mut().now_or_never().is_none());
    answer.send(Ok(Fetched::shared(9))).expect("it is waited for");
    assert_eq!((slow.await.as_deref(), joined.await.as_deref()), (Ok(&9), Ok(&9)));
}

/// A schema whose end asks the cache something.
struct Nosy(SchemaCache<Self, ()>, Arc<AtomicU32>);

impl Drop for Nosy {
    fn drop(&mut self) {
        let _ = (self.0.len(), self.0.stats());
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_schema_may_ask_the_cache_when_it_is_dropped() {
    let dropped = Arc::new(AtomicU32::new(0));
    let cache = SchemaCache::<Nosy, ()>::with_capacity(NonZeroUsize::MIN);
    let get = |address, program| {
        let nosy = Nosy(cache.clone(), dropped.clone());
        let instance = cache.instance(address, program);
        let got = instance.get(|| async { Ok(Fetched::shared(nosy)) });
        assert!(got.now_or_never().expect("at once").is_ok());
    };
    get("a", OLD);
    get("a", NEW);
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "another program has replaced it");
    get("b", NEW);
    assert_eq!(dropped.load(Ordering::SeqCst), 2, "it has made room");
    cache.remove("b");
    assert_eq!(dropped.load(Ordering::SeqCst), 3, "it was forgotten");
}
