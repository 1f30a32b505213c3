//! Dials ids over a yamux session: [`Dialing`] with a clock, a session and the control
//! stream. Identity and order are decided there.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::broker::dialects::now;
use crate::goplugin::session::knock::Action;
use crate::goplugin::session::knock::DialError;
use crate::goplugin::session::knock::Dialing;
use crate::goplugin::session::knock::Odd;
use crate::goplugin::session::knock::RequestId;
use crate::goplugin::session::knock::StreamId;
use crate::goplugin::transport::mux::Session;
use crate::goplugin::transport::mux::Stream;
use crate::goplugin::wire::ConnInfo;
use crate::goplugin::wire::conn_info::Knock;

/// The dialing side of one session. Dropped, it fails all dials with
/// [`DialError::SessionEnded`]; streams that were handed out live on.
#[derive(Debug)]
pub(crate) struct MuxDialer {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    dials: Mutex<Dials>,
    /// There is something to do.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Dials {
    dialing: Dialing,
    waiting: HashMap<RequestId, oneshot::Sender<Result<Stream, DialError>>>,
}

impl MuxDialer {
    /// Starts a task of the current runtime that holds a handle of the session. Knocks go
    /// to the control stream by `knocks`, whose room may be small: knocks wait for it.
    pub(crate) fn start(session: Session, knocks: mpsc::Sender<ConnInfo>) -> Self {
        let shared = Arc::new(Shared::default());
        let task = Task {
            shared: Arc::clone(&shared),
            session,
            knocks,
            to_knock: VecDeque::new(),
            opening: FuturesUnordered::new(),
            taken: HashMap::new(),
        };
        let task = tokio::spawn(task.run()).abort_handle();
        Self { shared, task }
    }

    /// A stream to whoever accepts the id at the peer, who has taken it. Nothing was
    /// written on it. Dials go one by one; [the rules](super::knock) say how long it takes.
    ///
    /// Cancel safe: dropped, the dial is given up, and a stream that comes of it is reset.
    ///
    /// # Errors
    ///
    /// Any [`DialError`]; none of them ends the session.
    pub(crate) async fn dial(&self, id: u32) -> Result<Stream, DialError> {
        let (reply, outcome) = oneshot::channel();
        let request = {
            let mut dials = self.shared.dials.lock();
            let request = dials.dialing.dial(id, now())?;
            dials.waiting.insert(request, reply);
            request
        };
        let _given_up = GiveUp { shared: &self.shared, request };
        self.shared.changed.notify_one();
        outcome.await.unwrap_or(Err(DialError::SessionEnded))
    }

    /// The peer's answer to a knock, from the control stream, with its error; empty is yes.
    pub(crate) fn on_ack(&self, id: u32, error: &str) {
        self.shared.dials.lock().dialing.on_ack(id, error, now());
        self.shared.changed.notify_one();
    }

    /// The control stream has ended: all dials fail, now and later. The end of the yamux
    /// session is noticed without this.
    pub(crate) fn on_session_end(&self) {
        self.shared.end();
    }
}

impl Drop for MuxDialer {
    fn drop(&mut self) {
        self.shared.end();
        self.task.abort();
    }
}

impl Shared {
    fn end(&self) {
        let mut dials = self.dials.lock();
        dials.dialing.on_session_end();
        // What their dials wait for is then an error.
        dials.waiting.clear();
        drop(dials);
        self.changed.notify_one();
    }
}

/// Tells that a dial's caller is gone; without effect if the dial was over.
struct GiveUp<'a> {
    shared: &'a Shared,
    request: RequestId,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        let mut dials = self.shared.dials.lock();
        if dials.waiting.remove(&self.request).is_some() {
            dials.dialing.cancel(self.request, now());
            self.shared.changed.notify_one();
        }
    }
}

/// Does what [`Dialing`] says.
struct Task {
    shared: Arc<Shared>,
    session: Session,
    knocks: mpsc::Sender<ConnInfo>,
    /// Knocks for which there was no room yet.
    to_knock: VecDeque<u32>,
    opening: FuturesUnordered<BoxFuture<'static, (StreamId, std::io::Result<Stream>)>>,
    taken: HashMap<StreamId, Stream>,
}

impl Task {
    async fn run(mut self) {
        let session = self.session.clone();
        tokio::select! {
            _ = session.closed() => {}
            () = self.work() => {}
        }
        self.shared.end();
    }

    /// Until nothing can be opened or sent any more.
    async fn work(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            self.act();
            let timeout = shared.dials.lock().dialing.next_timeout();
            let timer = async {
                match timeout {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let next = self.to_knock.front().copied();
            tokio::select! {
                room = self.knocks.reserve(), if next.is_some() => match (room, next) {
                    (Ok(room), Some(id)) => {
                        self.to_knock.pop_front();
                        room.send(knock(id));
                    }
                    // The session has ended.
                    _ => return,
                },
                () = shared.changed.notified() => {}
                () = timer => shared.dials.lock().dialing.on_time(now()),
                Some((id, opened)) = self.opening.next() => match opened {
                    Ok(stream) => {
                        self.taken.insert(id, stream);
                        shared.dials.lock().dialing.on_taken(id, now());
                    }
                    // Opening fails only with the session.
                    Err(_) => return,
                },
            }
        }
    }

    /// Does everything that can be done at once.
    fn act(&mut self) {
        let mut dials = self.shared.dials.lock();
        while let Some(action) = dials.dialing.next_action() {
            match action {
                // One is in flight at a time, and each waits for a dial: there are few.
                Action::Knock(id) => self.to_knock.push_back(id),
                Action::Open(id) => {
                    let session = self.session.clone();
                    self.opening.push(Box::pin(async move { (id, session.open_taken().await) }));
                }
                Action::Reset(id) => drop(self.taken.remove(&id)),
                Action::Give(id, request) => {
                    let stream = self.taken.remove(&id);
                    if let Some((stream, reply)) = stream.zip(dials.waiting.remove(&request)) {
                        // Reset, if the caller has just gone.
                        drop(reply.send(Ok(stream)));
                    }
                }
                Action::Fail(request, error) => {
                    if let Some(reply) = dials.waiting.remove(&request) {
                        drop(reply.send(Err(error)));
                    }
                }
                Action::Report(odd) => report(odd),
            }
        }
    }
}

fn knock(id: u32) -> ConnInfo {
    let knock = Knock { knock: true, ack: false, error: String::new() };
    ConnInfo { service_id: id, knock: Some(knock), ..ConnInfo::default() }
}

fn report(odd: Odd) {
    match odd {
        Odd::Unrequested { id } => {
            tracing::warn!(id, "the peer acknowledged a knock that was not sent; ignored");
        }
        Odd::Mixed { id } => {
            tracing::debug!(id, "a late acknowledgement: dials under way knock again");
        }
        Odd::NotTaken { id } => {
            tracing::warn!(id, "the peer acknowledged a knock and took no stream");
        }
        Odd::Forgotten { id } => {
            tracing::warn!(id, "too many knocks were never answered; the oldest is forgotten");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    use super::*;
    use crate::goplugin::session::knock::Accepting;
    use crate::goplugin::session::knock::Inbound;
    use crate::goplugin::session::knock::KNOCK_LIMIT;
    use crate::goplugin::session::knock::Place;
    use crate::goplugin::transport::mux::Role;

    /// The other end: accepts ids as we do, and answers each stream with its id.
    struct Peer {
        accepting: Arc<Mutex<Accepting>>,
        session: Session,
    }

    fn pair(answering: bool) -> (Arc<MuxDialer>, Peer) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let accepting = Arc::new(Mutex::new(Accepting::new(Place::Host)));
        let inbound = {
            let accepting = Arc::clone(&accepting);
            move |mut stream: Stream| {
                if let Inbound::Id(id) = accepting.lock().on_stream(now()) {
                    tokio::spawn(async move { stream.write_all(&id.to_be_bytes()).await });
                }
            }
        };
        let session = Session::start(theirs, Role::Client, inbound);
        let (knocks, mut to_peer) = mpsc::channel::<ConnInfo>(1);
        let own = Session::start(ours, Role::Server, drop);
        let dialer = Arc::new(MuxDialer::start(own, knocks));
        let (answers, known) = (Arc::downgrade(&dialer), Arc::clone(&accepting));
        tokio::spawn(async move {
            while let Some(message) = to_peer.recv().await {
                assert!(message.knock.is_some_and(|knock| knock.knock && !knock.ack));
                let id = message.service_id;
                let answer = known.lock().on_knock(id, now());
                if let (true, Some(dialer)) = (answering, answers.upgrade()) {
                    dialer.on_ack(id, &answer.error);
                }
            }
        });
        (dialer, Peer { accepting, session })
    }

    #[tokio::test(start_paused = true)]
    async fn many_dials_at_once_each_reach_their_id() {
        let (dialer, peer) = pair(true);
        for id in 0..10 {
            peer.accepting.lock().register(id).unwrap();
        }
        let dials = (0..100).map(|dial| {
            let dialer = Arc::clone(&dialer);
            async move {
                let mut stream = dialer.dial(dial % 10).await.unwrap();
                assert_eq!(stream.read_u32().await.unwrap(), dial % 10);
            }
        });
        futures::future::join_all(dials).await;
        assert!(dialer.shared.dials.lock().waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_that_nobody_accepts_is_refused_with_the_peers_text() {
        let (dialer, _peer) = pair(true);
        let text = "no listener for id 7".to_owned();
        assert_eq!(dialer.dial(7).await.unwrap_err(), DialError::Refused { id: 7, text });
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_without_an_answer_fails_in_time_and_one_after_it_is_served() {
        let (dialer, peer) = pair(false);
        peer.accepting.lock().register(8).unwrap();
        let start = tokio::time::Instant::now();
        let answer_to_8 = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            dialer.on_ack(8, "");
        };
        let (dead, served, ()) = tokio::join!(dialer.dial(7), dialer.dial(8), answer_to_8);
        assert_eq!(dead.unwrap_err(), DialError::NoAnswer { id: 7 });
        assert_eq!(start.elapsed(), KNOCK_LIMIT);
        assert_eq!(served.unwrap().read_u32().await.unwrap(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_that_was_given_up_leaves_no_trace_and_its_stream_is_reset() {
        let (dialer, peer) = pair(false);
        peer.accepting.lock().register(7).unwrap();
        assert!(timeout(Duration::from_millis(1), dialer.dial(7)).await.is_err());
        assert!(dialer.shared.dials.lock().waiting.is_empty());
        // The peer's stream is consumed, so the next is the next dial's.
        dialer.on_ack(7, "");
        tokio::time::sleep(Duration::from_millis(300)).await;
        let again = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            dialer.on_ack(7, "");
        };
        let (stream, ()) = tokio::join!(dialer.dial(7), again);
        assert_eq!(stream.unwrap().read_u32().await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_session_fails_all_dials() {
        let (dialer, peer) = pair(false);
        let end = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            peer.session.close();
        };
        let (one, other, ()) = tokio::join!(dialer.dial(7), dialer.dial(8), end);
        assert_eq!(one.unwrap_err(), DialError::SessionEnded);
        assert_eq!(other.unwrap_err(), DialError::SessionEnded);
        assert_eq!(dialer.dial(9).await.unwrap_err(), DialError::SessionEnded);

        let (dialer, _peer) = pair(false);
        let end = async { dialer.on_session_end() };
        let (one, ()) = tokio::join!(dialer.dial(7), end);
        assert_eq!(one.unwrap_err(), DialError::SessionEnded);
    }
}
