//! Terraform's provider protocol, served: what a provider is made of, without the wire.
//!
//! | module | what is in it |
//! |---|---|
//! | `services` | the services of protocol 5 and 6, method by method, onto one server |
//! | `handlers` | what each method does: finds who is asked, reads, asks, writes |
//! | `calls` | the same for functions |
//! | `wire` | values and problems, from and to messages |

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::schema::Function;
use crate::tfplugin::schema::ProviderSchema;
use crate::tfplugin::schema::Schema;

mod calls;
mod handlers;
mod services;
#[cfg(test)]
mod tests;
mod wire;

/// A provider: what it has, by name. Types of resources and of data sources begin with the
/// provider's own.
pub struct Provider {
    pub configuration: Box<dyn Configuration>,
    pub resources: BTreeMap<&'static str, Box<dyn Resource>>,
    pub data_sources: BTreeMap<&'static str, Box<dyn DataSource>>,
    pub functions: BTreeMap<&'static str, Callable>,
}

/// Why there is no result: at least one error, for the user.
#[derive(Debug)]
pub struct Problems(pub Vec<Diagnostic>);

impl From<Diagnostic> for Problems {
    fn from(problem: Diagnostic) -> Self {
        Self(vec![problem])
    }
}

/// What the user says of the provider itself.
#[tonic::async_trait]
pub trait Configuration: Send + Sync {
    fn schema(&self) -> Schema;

    /// What is wrong with it, as far as it is known.
    fn validate(&self, config: &Value) -> Vec<Diagnostic>;

    /// Comes before all that reaches out of the process. It may come again: a provider that
    /// runs by itself is used by one run after the other.
    async fn configure(&self, config: &Value) -> Result<(), Problems>;
}

/// A type of resource. What the protocol lets a provider keep beside a state, none needs here.
#[tonic::async_trait]
pub trait Resource: Send + Sync {
    fn schema(&self) -> Schema;

    /// What is wrong with a configuration, as far as it is known.
    fn validate(&self, config: &Value) -> Vec<Diagnostic>;

    /// Brings a state that was kept with a schema of this version to the present one.
    fn upgrade(&self, version: i64, state: Json) -> Result<Value, Problems>;

    /// What the change will lead to. Changes nothing.
    fn plan(&self, change: Change) -> Result<Plan, Problems>;

    /// What is there now of what was there; null if it is gone.
    async fn read(&self, state: Value) -> Result<Value, Problems>;

    /// Makes the change. If it fails, what was there before is there still. It is not cut
    /// off when the host asks to stop.
    async fn apply(&self, change: Change) -> Result<Value, Problems>;

    /// Finds what is there already, by the id that the user gives.
    async fn import(&self, id: &str) -> Result<Value, Problems>;
}

/// A type of data source.
#[tonic::async_trait]
pub trait DataSource: Send + Sync {
    fn schema(&self) -> Schema;

    /// What is wrong with a configuration, as far as it is known.
    fn validate(&self, config: &Value) -> Vec<Diagnostic>;

    /// The configuration with all that was found. It has nothing unknown in it.
    async fn read(&self, config: Value) -> Result<Value, Problems>;
}

/// From one state of a resource to another.
#[derive(Clone, Debug)]
pub struct Change {
    /// Null: it is to be created.
    pub prior: Value,
    /// What it is to be, as the host proposes or as was planned. Null: it is to be destroyed.
    pub planned: Value,
}

/// What a change will lead to.
#[derive(Debug)]
pub struct Plan {
    pub planned: Value,
    /// What cannot be changed in place.
    pub requires_replace: Vec<Path>,
}

/// A function of the provider. It needs no configuration.
pub struct Callable {
    pub signature: Function,
    /// The arguments fit the signature, and are as many as that asks for.
    pub call: fn(&[Value]) -> Result<Value, Fault>,
}

/// Why a function has no result.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub text: String,
    /// Whose fault it is, counted from 0.
    pub argument: Option<usize>,
}

/// Serves a provider, in whichever version of the protocol. Clones are the same server.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    provider: Provider,
    schema: ProviderSchema,
    running: Running,
}

impl Server {
    pub fn new(provider: Provider) -> Self {
        let schema = ProviderSchema {
            provider: provider.configuration.schema(),
            resources: schemas(&provider.resources, |resource| resource.schema()),
            data_sources: schemas(&provider.data_sources, |source| source.schema()),
            functions: schemas(&provider.functions, |function| function.signature.clone()),
            // No method needs the schema to have been asked for.
            is_optional: true,
            ..ProviderSchema::default()
        };
        Self(Arc::new(Inner { provider, schema, running: Running::default() }))
    }
}

fn schemas<T, S>(all: &BTreeMap<&str, T>, schema: impl Fn(&T) -> S) -> BTreeMap<String, S> {
    all.iter().map(|(name, one)| ((*name).to_owned(), schema(one))).collect()
}

/// What runs, so that the host can stop it.
#[derive(Default)]
struct Running(Mutex<CancellationToken>);

impl Running {
    /// Cancels what runs now. What comes later runs: the host may go on after all.
    fn stop(&self) {
        mem::take(&mut *self.0.lock()).cancel();
    }

    /// Does it, unless the host asks to stop first; then it is dropped.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Problems>>,
    ) -> Result<T, Problems> {
        let stopped = self.0.lock().clone();
        match stopped.run_until_cancelled(work).await {
            Some(done) => done,
            None => Err(Diagnostic::error(
                "The operation was stopped",
                "The run was interrupted before the operation came to its end. \
                 It changed nothing; run it again.",
            )
            .into()),
        }
    }
}
