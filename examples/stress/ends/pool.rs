//! Sub-channels that calls share.

use std::sync::Mutex;

use trunkline::Error;

use super::Client;

/// Clients by number, opened when they are first wanted.
#[derive(Debug, Default)]
pub struct Pool {
    clients: Mutex<Vec<Client>>,
}

impl Pool {
    pub fn get(
        &self,
        number: usize,
        open: impl Fn() -> Result<Client, Error>,
    ) -> Result<Client, Error> {
        let mut clients = self.clients.lock().expect("no panic");
        while clients.len() <= number {
            clients.push(open()?);
        }
        Ok(clients[number].clone())
    }

    /// Puts a new one in its place. The old one lasts as long as calls on it.
    pub fn replace(&self, number: usize, new: Client) {
        let mut clients = self.clients.lock().expect("no panic");
        if let Some(old) = clients.get_mut(number) {
            *old = new;
        }
    }

    pub fn clear(&self) {
        self.clients.lock().expect("no panic").clear();
    }
}
