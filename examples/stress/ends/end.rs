//! One end of a trunk, for calls to the other.

use trunkline::Broker;
use trunkline::Error;

use super::Client;
use super::SERVICE;
use super::Worker;
use super::client;

#[derive(Clone, Debug)]
pub struct End {
    pub broker: Broker,
    /// Serves what the other end calls.
    pub worker: Worker,
}

impl End {
    /// A client on a sub-channel of its own.
    pub fn open(&self) -> Result<Client, Error> {
        self.broker.open(SERVICE).map(client)
    }

    /// A client of one of the shared sub-channels.
    pub fn shared(&self, number: usize) -> Result<Client, Error> {
        self.worker.pool.get(number, || self.open())
    }

    /// Opens a shared sub-channel anew.
    pub fn replace(&self, number: usize) -> Result<(), Error> {
        self.worker.pool.replace(number, self.open()?);
        Ok(())
    }
}
