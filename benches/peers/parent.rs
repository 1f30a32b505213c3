//! The service that every parent in Rust serves on every sub-channel.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;

use crate::Failure;
use crate::clock;
use crate::proto;
use crate::proto::Count;
use crate::proto::Figures;
use crate::proto::Identity;
use crate::proto::Ids;
use crate::proto::Moment;
use crate::proto::Nothing;
use crate::proto::Payload;
use crate::proto::Received;
use crate::proto::Registered;
use crate::proto::Resources;
use crate::proto::SubChannel;
use crate::proto::parent_server::ParentServer;
use crate::usage;

/// How a parent makes a sub-channel ready to be dialled.
pub trait Registrar: Clone + Send + Sync + 'static {
    /// Frees it when it is dropped.
    type Registration: Send + 'static;

    /// Makes one that the child can dial by the number.
    fn register(
        &self,
        service: ParentServer<Parent<Self>>,
    ) -> Result<(u64, Self::Registration), Failure>;
}

/// What the child calls back.
pub struct Parent<R: Registrar> {
    registrar: R,
    held: Arc<Mutex<HashMap<u64, R::Registration>>>,
    reports: mpsc::Sender<Figures>,
    /// Which sub-channel this one serves; 0 is the first.
    label: u64,
    /// The last that was given.
    labels: Arc<AtomicU64>,
}

// Derived, it would ask the registration to be `Clone` as well.
impl<R: Registrar> Clone for Parent<R> {
    fn clone(&self) -> Self {
        let (registrar, held) = (self.registrar.clone(), self.held.clone());
        let (reports, labels) = (self.reports.clone(), self.labels.clone());
        Self { registrar, held, reports, label: self.label, labels }
    }
}

impl<R: Registrar> Parent<R> {
    pub fn new(registrar: R, reports: mpsc::Sender<Figures>) -> Self {
        Self { registrar, held: Arc::default(), reports, label: 0, labels: Arc::default() }
    }
}

#[tonic::async_trait]
impl<R: Registrar> proto::parent_server::Parent for Parent<R> {
    async fn echo(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn identify(&self, request: Request<Payload>) -> Result<Response<Identity>, Status> {
        Ok(Response::new(Identity { data: request.into_inner().data, label: self.label }))
    }

    async fn bulk(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Received>, Status> {
        let mut stream = request.into_inner();
        let mut received = Received::default();
        while let Some(payload) = stream.message().await? {
            received.messages += 1;
            received.bytes += payload.data.len() as u64;
        }
        Ok(Response::new(received))
    }

    async fn register(&self, request: Request<Count>) -> Result<Response<Registered>, Status> {
        let mut registered = Registered::default();
        // Those of a request that cannot be fulfilled are freed.
        let mut made = Vec::new();
        for _ in 0..request.into_inner().sub_channels {
            let label = self.labels.fetch_add(1, Relaxed) + 1;
            let service = ParentServer::new(Self { label, ..self.clone() });
            let began = clock::now();
            let one = self.registrar.register(service);
            registered.nanoseconds += clock::now() - began;
            let one = one.map_err(|error| Status::internal(error.to_string()))?;
            registered.sub_channels.push(SubChannel { id: one.0, label });
            made.push(one);
        }
        self.held.lock().extend(made);
        Ok(Response::new(registered))
    }

    async fn release(&self, request: Request<Ids>) -> Result<Response<Nothing>, Status> {
        for id in request.into_inner().ids {
            let registration = self.held.lock().remove(&id);
            drop(registration);
        }
        Ok(Response::new(Nothing {}))
    }

    async fn usage(&self, _: Request<Moment>) -> Result<Response<Resources>, Status> {
        Ok(Response::new(usage::of_this_process()))
    }

    async fn report(&self, request: Request<Figures>) -> Result<Response<Nothing>, Status> {
        let sent = self.reports.send(request.into_inner()).await;
        sent.map_err(|_| Status::cancelled("nobody waits for a report"))?;
        Ok(Response::new(Nothing {}))
    }
}
