//! Plugins that are files, with clients in memory, on a paused clock.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::future::join_all;
use http::Request;
use http::Response;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;
use crate::docker::body::Body;
use crate::docker::client::Transport;
use crate::docker::client::TransportError;
use crate::docker::error::CallError;
use crate::docker::not_found::is_not_found;

const SECOND: Duration = Duration::from_secs(1);

/// A world of plugins, all of which are of one kind: `apple.spec` is a plugin that implements
/// `apple`, and one that begins with `bad` does not answer.
struct Orchard {
    folder: tempfile::TempDir,
    registry: Registry,
    activations: Arc<AtomicUsize>,
    /// How many activations may be answered.
    gate: Arc<Semaphore>,
    began: Instant,
}

struct Tree {
    name: String,
    activations: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Transport for Tree {
    fn send(
        &self,
        request: Request<Body>,
    ) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        assert_eq!(request.uri().path(), "/Plugin.Activate");
        self.activations.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            self.gate.acquire().await.unwrap().forget();
            if self.name.starts_with("bad") {
                let error = io::Error::from(io::ErrorKind::ConnectionRefused);
                return Err(TransportError::connecting(error));
            }
            let json = format!(r#"{{"Implements":["fruit","{}"]}}"#, self.name);
            Ok(Response::new(Body::from(Bytes::from(json))))
        })
    }
}

impl Orchard {
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let activations = Arc::<AtomicUsize>::default();
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let directories = Directories::new("/nonexistent", [folder.path()]);
        let tree = (activations.clone(), gate.clone());
        let registry = Registry::with_clients(directories, move |location| {
            let (activations, gate) = tree.clone();
            Ok(Client::over(Tree { name: location.name().to_owned(), activations, gate }))
        });
        let registry = registry.with_retry(RetryPolicy::default().jitter(0.0));
        let orchard = Self { folder, registry, activations, gate, began: Instant::now() };
        names.iter().for_each(|name| orchard.plant(name));
        orchard
    }

    fn plant(&self, name: &str) {
        fs::write(self.folder.path().join(format!("{name}.spec")), "tcp://host").unwrap();
    }

    fn activations(&self) -> usize {
        self.activations.load(Ordering::Relaxed)
    }

    /// Lets no activation be answered but this many.
    fn close_but(&self, permits: usize) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
        self.gate.add_permits(permits);
    }

    /// What is told to handlers of an interface.
    fn listen(&self, interface: &str) -> Arc<Mutex<Vec<String>>> {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let tell = told.clone();
        self.registry.handle(interface, move |plugin| tell.lock().push(plugin.name().to_owned()));
        told
    }
}

/// moby's TestGet, success and not implemented, and TestPluginWithNoManifest.
#[tokio::test(start_paused = true)]
async fn a_plugin_is_activated_when_it_is_first_asked_for() {
    let orchard = Orchard::new(&["apple"]);
    assert_eq!(orchard.activations(), 0);
    let plugin = orchard.registry.get("apple", "fruit").await.unwrap();
    assert_eq!(plugin.name(), "apple");
    assert_eq!(plugin.interfaces(), ["fruit", "apple"]);
    let error = orchard.registry.get("apple", "banana").await.unwrap_err();
    assert!(matches!(error, GetError::NotImplemented { .. }), "{error}");
    orchard.registry.get("apple", "apple").await.unwrap();
    assert_eq!(orchard.activations(), 1);
}

/// moby's TestGet, not exists.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_not_there_is_looked_for_and_then_not_found() {
    let orchard = Orchard::new(&[]);
    let error = orchard.registry.get("vegetable", "fruit").await.unwrap_err();
    assert!(error.is_not_found() && is_not_found(&error), "{error}");
    assert!(is_not_found(&io::Error::other(error)));
    assert_eq!(orchard.began.elapsed(), SECOND * 15);
    // What can be no name is not waited for.
    let error = orchard.registry.get("", "fruit").await.unwrap_err();
    assert!(matches!(error, GetError::Find(error) if matches!(*error, FindError::Name { .. })));
    assert_eq!(orchard.began.elapsed(), SECOND * 15);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_comes_late_is_found() {
    let orchard = Orchard::new(&[]);
    let plant = async {
        tokio::time::sleep(SECOND * 2).await;
        orchard.plant("apple");
    };
    let (plugin, ()) = tokio::join!(orchard.registry.get("apple", "fruit"), plant);
    assert_eq!(plugin.unwrap().name(), "apple");
    assert_eq!(orchard.began.elapsed(), SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_there_is_one_activation() {
    let orchard = Orchard::new(&["apple"]);
    let gets = (0..100).map(|_| orchard.registry.get("apple", "fruit"));
    assert!(join_all(gets).await.iter().all(Result::is_ok));
    assert_eq!(orchard.activations(), 1);
}

/// moby's TestPluginWaitBadPlugin.
#[tokio::test(start_paused = true)]
async fn all_who_wait_for_a_plugin_that_fails_are_told_and_the_next_begins_anew() {
    let orchard = Orchard::new(&["bad"]);
    let gets = (0..100).map(|_| orchard.registry.get("bad", "fruit"));
    for got in join_all(gets).await {
        let error = got.unwrap_err();
        assert!(matches!(&error, GetError::Activate { .. }), "{error}");
        // The cause is found as what it is, though it is shared.
        let cause = std::error::Error::source(&error).unwrap().downcast_ref();
        assert!(matches!(cause, Some(CallError::Unreachable { attempts: 5, .. })));
    }
    assert_eq!(orchard.activations(), 5);
    assert_eq!(orchard.began.elapsed(), SECOND * 15);
    orchard.registry.get("bad", "fruit").await.unwrap_err();
    assert_eq!(orchard.activations(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_all_have_given_up_is_given_up() {
    let orchard = Orchard::new(&["apple"]);
    orchard.close_but(0);
    let two = [0, 1].map(|_| orchard.registry.get("apple", "fruit"));
    let [first, second] = two;
    let in_time = |after, get| tokio::time::timeout(SECOND * after, get);
    let (first, second) = tokio::join!(in_time(1, first), in_time(2, second));
    assert!(first.is_err() && second.is_err());
    assert_eq!(orchard.activations(), 1);
    orchard.close_but(1);
    orchard.registry.get("apple", "fruit").await.unwrap();
    assert_eq!(orchard.activations(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_stays_gets_the_plugin_when_the_one_who_began_has_left() {
    let orchard = Orchard::new(&["apple"]);
    orchard.close_but(0);
    let leaves = tokio::time::timeout(SECOND, orchard.registry.get("apple", "fruit"));
    let opens = async {
        tokio::time::sleep(SECOND * 2).await;
        orchard.gate.add_permits(1);
    };
    let stays = orchard.registry.get("apple", "fruit");
    let (left, (), stayed) = tokio::join!(leaves, opens, stays);
    assert!(left.is_err());
    assert_eq!(stayed.unwrap().name(), "apple");
    assert_eq!(orchard.activations(), 1);
}

/// moby's TestPluginAddHandler.
#[tokio::test(start_paused = true)]
async fn a_handler_is_told_of_each_plugin_once() {
    let orchard = Orchard::new(&["apple", "pear"]);
    let early = orchard.listen("fruit");
    orchard.registry.get("apple", "fruit").await.unwrap();
    assert_eq!(*early.lock(), ["apple"]);
    let late = orchard.listen("fruit");
    let none = orchard.listen("banana");
    orchard.registry.get("apple", "fruit").await.unwrap();
    orchard.registry.get("pear", "pear").await.unwrap();
    assert_eq!(*early.lock(), ["apple", "pear"]);
    assert_eq!(*late.lock(), ["apple", "pear"]);
    assert!(none.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_use_the_registry_and_add_others() {
    let orchard = Orchard::new(&["apple"]);
    let (registry, told) = (orchard.registry.clone(), Arc::<AtomicUsize>::default());
    let tell = told.clone();
    orchard.registry.handle("fruit", move |_| {
        let tell = tell.clone();
        registry.handle("apple", move |_| {
            tell.fetch_add(1, Ordering::Relaxed);
        });
    });
    orchard.registry.get("apple", "fruit").await.unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_activated_anew() {
    let orchard = Orchard::new(&["apple"]);
    let told = orchard.listen("fruit");
    let kept = orchard.registry.get("apple", "fruit").await.unwrap();
    orchard.registry.forget("apple");
    orchard.registry.forget("nothing");
    orchard.registry.get("apple", "fruit").await.unwrap();
    assert_eq!(orchard.activations(), 2);
    assert_eq!(*told.lock(), ["apple", "apple"]);
    assert_eq!(kept.name(), "apple");
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_while_it_is_activated_is_not_kept() {
    let orchard = Orchard::new(&["apple"]);
    orchard.close_but(0);
    let get = orchard.registry.get("apple", "fruit");
    let forget = async {
        tokio::time::sleep(SECOND).await;
        orchard.registry.forget("apple");
        orchard.gate.add_permits(2);
    };
    let (got, ()) = tokio::join!(get, forget);
    got.unwrap();
    orchard.registry.get("apple", "fruit").await.unwrap();
    assert_eq!(orchard.activations(), 2);
}

/// moby's TestGetAll.
#[tokio::test(start_paused = true)]
async fn all_plugins_are_activated_at_once_and_bad_ones_are_left_out() {
    let orchard = Orchard::new(&["pear", "bad1", "apple", "bad2"]);
    fs::write(orchard.folder.path().join("wrong.spec"), "no address").unwrap();
    let names = |plugins: Vec<Plugin>| -> Vec<String> {
        plugins.iter().map(|plugin| plugin.name().to_owned()).collect()
    };
    let all = orchard.registry.get_all("fruit").await.unwrap();
    assert_eq!(names(all), ["apple", "pear"]);
    assert_eq!(orchard.began.elapsed(), SECOND * 15);
    assert_eq!(names(orchard.registry.get_all("pear").await.unwrap()), ["pear"]);

    let told = orchard.registry.load_all().await.unwrap();
    let told: Vec<_> = told.iter().map(|(name, loaded)| (name.as_str(), loaded.is_ok())).collect();
    let expected =
        [("apple", true), ("bad1", false), ("bad2", false), ("pear", true), ("wrong", false)];
    assert_eq!(told, expected);
}
