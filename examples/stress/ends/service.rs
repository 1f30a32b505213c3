//! The calls that both ends serve.

use futures::StreamExt;
use futures::stream;
use futures::stream::BoxStream;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use trunkline::services::state::StateError;

use super::Other;
use super::Sum;
use super::Way;
use super::Worker;
use super::client;
use super::echo;
use super::ledger::Event;
use crate::calls::Failure;
use crate::calls::Job;
use crate::proof::leaks;
use crate::proto::Ask;
use crate::proto::Back;
use crate::proto::Counter;
use crate::proto::Held;
use crate::proto::LeaseReply;
use crate::proto::Level;
use crate::proto::Nothing;
use crate::proto::Performed;
use crate::proto::Piece;
use crate::proto::Summary;
use crate::proto::Task;
use crate::proto::stress_server::Stress;

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl Stress for Worker {
    async fn unary(&self, request: Request<Piece>) -> Answer<Piece> {
        let piece = request.into_inner();
        let (call, index) = (piece.call, piece.index);
        let running = self.begin(call, index);
        running.right(self.source.check(&piece, call, index, Way::There))?;
        running.done();
        Ok(Response::new(self.source.piece(call, index, Way::Back)))
    }

    async fn client_stream(&self, request: Request<Streaming<Piece>>) -> Answer<Summary> {
        let mut pieces = request.into_inner();
        let Some(mut piece) = pieces.message().await? else {
            return Err(Status::invalid_argument("no pieces"));
        };
        let (call, mut index, mut sum) = (piece.call, 0, Sum::default());
        let running = self.begin(call, 0);
        loop {
            running.right(self.source.check(&piece, call, index, Way::There))?;
            sum.add(&piece.data);
            index += 1;
            match pieces.message().await? {
                Some(next) => piece = next,
                None => break,
            }
        }
        running.done();
        Ok(Response::new(sum.of(call)))
    }

    type ServerStreamStream = Answers<Piece>;

    async fn server_stream(&self, request: Request<Ask>) -> Answer<Answers<Piece>> {
        let Ask { call, pieces } = request.into_inner();
        let running = self.begin(call, 0);
        let pieces = stream::iter(0..pieces).map(move |index| {
            if index + 1 == pieces {
                running.done();
            }
            Ok(running.worker.source.piece(call, index, Way::Back))
        });
        Ok(Response::new(pieces.boxed()))
    }

    type BidiStream = Answers<Piece>;

    async fn bidi(&self, request: Request<Streaming<Piece>>) -> Answer<Answers<Piece>> {
        let mut pieces = request.into_inner();
        let Some(first) = pieces.message().await? else {
            return Err(Status::invalid_argument("no pieces"));
        };
        let running = self.begin(first.call, 0);
        let answers = stream::try_unfold(
            (running, pieces, Some(first), 0),
            |(running, mut pieces, first, index)| async move {
                let piece = match first {
                    Some(first) => Some(first),
                    None => pieces.message().await?,
                };
                let Some(piece) = piece else {
                    running.done();
                    return Ok(None);
                };
                let (call, source) = (running.call, running.worker.source.clone());
                running.right(source.check(&piece, call, index, Way::There))?;
                let answer = source.piece(call, index, Way::Back);
                Ok(Some((answer, (running, pieces, None, index + 1))))
            },
        );
        Ok(Response::new(answers.boxed()))
    }

    async fn callback(&self, request: Request<Task>) -> Answer<Performed> {
        let task = request.into_inner();
        let running = self.begin(task.call, 0);
        let job = Job::of_task(task, self.end()?).map_err(Status::invalid_argument)?;
        let cut = match job.perform().await {
            Ok(()) => false,
            Err(Failure::Cut) => true,
            Err(Failure::Status(status)) => return Err(status),
            Err(Failure::Broker(error)) => return Err(error.into()),
            Err(Failure::Wrong(wrong)) => running.right(Err(wrong))?,
        };
        running.done();
        Ok(Response::new(Performed { cut }))
    }

    async fn nest(&self, request: Request<Level>) -> Answer<Summary> {
        let nest = request.into_inner();
        let running = self.begin(nest.call, nest.level);
        running.deadline(nest.deadline)?;
        let mut below = Summary { call: nest.call, ..Summary::default() };
        if nest.level < nest.depth {
            let broker = self.broker()?;
            // Below us the peer calls us back under an id of our own, which this
            // handler holds or the call does.
            let own = broker.register(self.server());
            let mut next =
                Request::new(Level { level: nest.level + 1, callback: own.id().get(), ..nest });
            let held = if nest.call.is_multiple_of(2) {
                Some(own)
            } else {
                own.for_call(next.extensions_mut());
                None
            };
            let mut caller = client(broker.dial(nest.callback)?);
            drop(broker);
            below = caller.nest(next).await?.into_inner();
            drop(held);
        }
        below.pieces += 1;
        running.done();
        Ok(Response::new(below))
    }

    async fn bytes(&self, request: Request<Back>) -> Answer<Summary> {
        let Back { call, callback } = request.into_inner();
        let stream = self.broker()?.dial_bytes(callback)?;
        let bytes = echo::serve(self, stream).await.map_err(Status::from_error)?;
        Ok(Response::new(Summary { call, bytes, ..Summary::default() }))
    }

    async fn count(&self, request: Request<Counter>) -> Answer<Summary> {
        let Counter { call, key } = request.into_inner();
        let running = self.begin(call, key);
        let Other::Host(host) = &self.other else {
            return Err(Status::unimplemented("the state is the host's"));
        };
        let state = host.state()?;
        running.write(Event::Counting);
        let add = |old: Option<&[u8]>| (number(old.unwrap_or(&[])) + 1).to_le_bytes().to_vec();
        match state.update(key.to_le_bytes(), add).await {
            Ok(_) => running.write(Event::Counted),
            Err(error) => {
                if let StateError::Contended { .. } = error {
                    running.write(Event::NotCounted);
                }
                return Err(Status::aborted(error.to_string()));
            }
        }
        running.done();
        Ok(Response::new(Summary { call, ..Summary::default() }))
    }

    type LeaseStream = Answers<LeaseReply>;

    async fn lease(&self, _: Request<Ask>) -> Answer<Answers<LeaseReply>> {
        let service = self.broker()?.register(self.server());
        let mut response = Response::new(stream::empty().boxed());
        let id = service.for_call(response.extensions_mut()).get();
        // The id, and then nothing until the caller lets go.
        let lease = stream::iter([Ok(LeaseReply { id })]).chain(stream::pending());
        *response.get_mut() = lease.boxed();
        Ok(response)
    }

    async fn holdings(&self, _: Request<Nothing>) -> Answer<Held> {
        self.pool.clear();
        let stats = self.broker()?.stats();
        Ok(Response::new(Held {
            channels: stats.channels as u64,
            streams: stats.streams as u64,
            registrations: stats.registrations as u64,
            serving: stats.serving as u64,
            buffered: stats.buffered,
            window_growth: stats.window_growth,
            handlers: self.running() as u64,
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64,
            descriptors: leaks::descriptors() as u64,
        }))
    }
}

/// A counter's value.
pub fn number(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_le_bytes)
}
