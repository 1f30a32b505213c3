//! The plugin's end of the state service.

use std::fmt;

use bytes::Bytes;
use futures::StreamExt;
use futures::TryStreamExt;
use futures::stream;
use futures::stream::BoxStream;
use tonic::Code;

use crate::services::Channel;
use crate::services::state::Entry;
use crate::services::state::Expected;
use crate::services::state::Item;
use crate::services::state::StateError;
use crate::services::state::Version;
use crate::services::state::convert;
use crate::services::wire::state as wire;
use crate::services::wire::state::state_client::StateClient;

/// How often [`State::update`] tries. With so many writers at once, each tries
/// at most this often, since every failed try means that another has succeeded.
pub const UPDATE_TRIES: u32 = 64;

/// A plugin's state, kept by its host: keys with versioned values.
///
/// Keys and values are bytes; a `&str` will do for either. Cloning is cheap,
/// and clones may be used at the same time. Dropping it does nothing.
///
/// # Cancel safety
/// Every call may be dropped. A read then has no effect. A write is then either
/// done wholly or not at all, and which is not known, as with
/// [`StateError::Unavailable`].
#[derive(Clone)]
pub struct State<T> {
    client: StateClient<T>,
}

impl<T: Channel> State<T> {
    /// The state behind this channel. Makes no call.
    pub fn new(channel: T) -> Self {
        // The plugin trusts its host, whose limits it does not know, so it does
        // not refuse what the host finds acceptable.
        let client = StateClient::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Self { client }
    }

    /// Reads the value of a key. `None`: it has none.
    ///
    /// # Errors
    /// [`StateError::EmptyKey`], [`StateError::KeyTooLong`], or the host's
    /// store or the host itself failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Entry>, StateError> {
        let request = wire::GetRequest { key: Bytes::copy_from_slice(key.as_ref()) };
        let response = self.client.clone().get(request).await;
        let response = response.map_err(convert::status)?.into_inner();
        response.entry.map(convert::entry).transpose()
    }

    /// Writes the value of a key, whatever it was, and gives the new version.
    /// If the host's store is durable, it is on disk then.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`StateError::ValueTooLarge`] or
    /// [`StateError::Full`].
    ///
    /// # Cancel safety
    /// If the future is dropped, the write is done wholly or not at all.
    pub async fn put(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
    ) -> Result<Version, StateError> {
        self.put_if(key, value, Expected::Any).await
    }

    /// Writes the value of a key if the key is as expected, and gives the new
    /// version.
    ///
    /// # Errors
    /// As [`put`](Self::put), and [`StateError::Conflict`] if the key is not as
    /// expected.
    ///
    /// # Cancel safety
    /// If the future is dropped, the write is done wholly or not at all.
    pub async fn put_if(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
        expected: impl Into<Expected>,
    ) -> Result<Version, StateError> {
        use wire::put_response::Outcome;
        let value = value.into();
        let length = value.len() as u64;
        let request = wire::PutRequest {
            key: Bytes::copy_from_slice(key.as_ref()),
            value,
            expected: Some(expected.into().into()),
        };
        let response = self.client.clone().put(request).await.map_err(|status| {
            // The code of a message over the limit of the host's codec, which
            // is refused unread. Nothing else here has this code.
            match status.code() {
                Code::OutOfRange => StateError::ValueTooLarge { length, limit: None },
                _ => convert::status(status),
            }
        })?;
        match response.into_inner().outcome {
            Some(Outcome::Version(number)) => convert::version(number),
            Some(Outcome::Conflict(conflict)) => Err(convert::conflict(conflict)),
            None => Err(StateError::Protocol("a write without an outcome")),
        }
    }

    /// Removes a key, whatever its value, and gives the version it had. `None`:
    /// it had no value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// If the future is dropped, the key is removed or it is not.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<Option<Version>, StateError> {
        self.delete_if(key, Expected::Any).await
    }

    /// Removes a key if it is as expected, and gives the version it had.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`StateError::Conflict`] if the key is not as
    /// expected.
    ///
    /// # Cancel safety
    /// If the future is dropped, the key is removed or it is not.
    pub async fn delete_if(
        &self,
        key: impl AsRef<[u8]>,
        expected: impl Into<Expected>,
    ) -> Result<Option<Version>, StateError> {
        use wire::delete_response::Outcome;
        let request = wire::DeleteRequest {
            key: Bytes::copy_from_slice(key.as_ref()),
            expected: Some(expected.into().into()),
        };
        let response = self.client.clone().delete(request).await;
        match response.map_err(convert::status)?.into_inner().outcome {
            Some(Outcome::Removed(number)) => convert::version(number).map(Some),
            Some(Outcome::Absent(_)) => Ok(None),
            Some(Outcome::Conflict(conflict)) => Err(convert::conflict(conflict)),
            None => Err(StateError::Protocol("a removal without an outcome")),
        }
    }

    /// Changes the value of a key so that no change of another writer is lost:
    /// reads it, lets `change` make the new value of the old (`None`: there is
    /// none), and writes that if nobody has written in between; otherwise tries
    /// again, at most [`UPDATE_TRIES`] times in all. `change` is called once
    /// for each try. Gives what was written.
    ///
    /// # Errors
    /// As [`put`](Self::put), and [`StateError::Contended`] if others wrote
    /// during every try.
    ///
    /// # Cancel safety
    /// If the future is dropped, the change is done wholly or not at all.
    pub async fn update<V: Into<Bytes>>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<&[u8]>) -> V,
    ) -> Result<Entry, StateError> {
        let key = key.as_ref();
        for _ in 0..UPDATE_TRIES {
            let old = self.get(key).await?;
            let value: Bytes = change(old.as_ref().map(|old| &old.value[..])).into();
            let expected = old.map_or(Expected::Absent, |old| Expected::Version(old.version));
            match self.put_if(key, value.clone(), expected).await {
                Ok(version) => return Ok(Entry { value, version }),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StateError::Contended { tries: UPDATE_TRIES })
    }

    /// Lists the keys that begin with `prefix` (empty: all), with values and
    /// versions, in the order of the keys' bytes.
    ///
    /// The host is asked page by page as the stream is read, so this is not one
    /// view in time: a key that is written or removed meanwhile may appear or
    /// not. No key appears twice. Dropping the stream ends it. After an error
    /// it is at its end.
    ///
    /// # Errors
    /// As [`get`](Self::get), except that the prefix may be empty.
    pub fn list(&self, prefix: impl AsRef<[u8]>) -> BoxStream<'static, Result<Item, StateError>> {
        self.items(prefix.as_ref(), false)
    }

    /// As [`list`](Self::list), without the values, which then do not need to
    /// be sent.
    pub fn keys(
        &self,
        prefix: impl AsRef<[u8]>,
    ) -> BoxStream<'static, Result<(Bytes, Version), StateError>> {
        self.items(prefix.as_ref(), true).map_ok(|item| (item.key, item.version)).boxed()
    }

    fn items(
        &self,
        prefix: &[u8],
        keys_only: bool,
    ) -> BoxStream<'static, Result<Item, StateError>> {
        let prefix = Bytes::copy_from_slice(prefix);
        let first = wire::ListRequest { prefix, after: None, limit: 0, keys_only };
        let client = self.client.clone();
        let pages = stream::try_unfold(Some(first), move |request| {
            let client = client.clone();
            async move {
                match request {
                    Some(request) => page(client, request).await.map(Some),
                    None => Ok(None),
                }
            }
        });
        pages.try_flatten().boxed()
    }
}

/// One page, and the request for the next.
async fn page<T: Channel>(
    mut client: StateClient<T>,
    request: wire::ListRequest,
) -> Result<
    (impl stream::Stream<Item = Result<Item, StateError>>, Option<wire::ListRequest>),
    StateError,
> {
    let response = client.list(request.clone()).await;
    let wire::ListResponse { items, more } = response.map_err(convert::status)?.into_inner();
    let last = items.last().map(|item| item.key.clone());
    // Without this a host could keep a list going for ever.
    if more && (last.is_none() || last <= request.after) {
        return Err(StateError::Protocol("a page that does not get on"));
    }
    let next = more.then_some(wire::ListRequest { after: last, ..request });
    Ok((stream::iter(items).map(convert::item), next))
}

impl<T> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}
