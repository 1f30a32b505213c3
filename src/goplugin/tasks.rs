//! Where the tasks of a session run, and when they end.

use std::sync::Arc;

use hyper::rt::Executor;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use tracing::Span;

use crate::goplugin::life::Life;

/// Runs the tasks of one session, those of its connections among them. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    life: Arc<Life>,
    runtime: Handle,
    tracker: TaskTracker,
    /// That of the plugin: whoever uses the session first may be in any other.
    span: Span,
    /// Whether they outlast the session's end, until all is said.
    to_the_last: bool,
}

impl Tasks {
    /// Must be called in a tokio runtime, where they then run.
    pub(super) fn of(life: Arc<Life>) -> Self {
        Self {
            life,
            runtime: Handle::current(),
            tracker: TaskTracker::new(),
            span: Span::current(),
            to_the_last: false,
        }
    }

    /// For the connection that says goodbye: until the session's own connection is closed.
    pub(super) fn to_the_last(&self) -> Self {
        Self { to_the_last: true, ..self.clone() }
    }

    /// Runs a task until the session has ended.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let (life, to_the_last) = (self.life.clone(), self.to_the_last);
        let over = async move { if to_the_last { life.cut().await } else { life.ended().await } };
        let task = async move {
            tokio::select! {
                biased;
                () = over => {}
                () = task => {}
            }
        };
        self.tracker.spawn_on(task.instrument(self.span.clone()), &self.runtime);
    }

    /// Waits until nothing of a session is left that has ended: no task, and so no socket.
    pub(super) async fn gone(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// The runtime that the session was made in: a registration may be made elsewhere.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

/// The tasks that hyper has for a connection.
impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        // Connections say how they end in another way.
        self.spawn(async move { drop(task.await) });
    }
}
