//! What either end serves on brokered connections, and how it is talked to.

use std::error::Error;

use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use trunkline::SubChannel;

use crate::contract::interop::Nothing;
use crate::contract::interop::Number;
use crate::contract::interop::Payload;
use crate::contract::interop::Summary;
use crate::contract::interop::Text;
use crate::contract::interop::callback_client::CallbackClient;
use crate::contract::interop::callback_server;
use crate::contract::interop::callback_server::CallbackServer;

pub type Payloads = BoxStream<'static, Result<Payload, Status>>;

/// One of many, which knows its number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Callback {
    pub number: u32,
}

impl Callback {
    pub fn server(self) -> CallbackServer<Self> {
        CallbackServer::new(self)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }
}

#[tonic::async_trait]
impl callback_server::Callback for Callback {
    async fn hear(&self, request: Request<Text>) -> Result<Response<Text>, Status> {
        let text = format!("[{}]", request.into_inner().text);
        Ok(Response::new(Text { text }))
    }

    type ConverseStream = Payloads;

    async fn converse(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Payloads>, Status> {
        let turned = request.into_inner().map(|payload| {
            let Payload { seq, mut data } = payload?;
            data.reverse();
            Ok(Payload { seq, data })
        });
        Ok(Response::new(turned.boxed()))
    }

    async fn declare(&self, _: Request<Nothing>) -> Result<Response<Number>, Status> {
        Ok(Response::new(Number { number: self.number }))
    }

    async fn big(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// A client that takes messages of any size.
pub fn client(channel: SubChannel) -> CallbackClient<SubChannel> {
    CallbackClient::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

/// Exchanges so many messages, and checks what comes back.
pub async fn converse(
    mut client: CallbackClient<SubChannel>,
    messages: u32,
    bytes_each: u32,
) -> Result<Summary, Status> {
    let sent = futures::stream::iter((0..u64::from(messages)).map(move |seq| {
        let data = pattern(seq, bytes_each);
        Payload { seq, data }
    }));
    let mut got = client.converse(sent).await?.into_inner();
    let mut summary = Summary { intact: true, ..Summary::default() };
    while let Some(payload) = got.message().await? {
        let mut expected = pattern(summary.messages, bytes_each);
        expected.reverse();
        summary.intact &= payload.seq == summary.messages && payload.data == expected;
        summary.messages += 1;
        summary.bytes += payload.data.len() as u64;
    }
    Ok(summary)
}

/// Sends so many bytes, and checks what comes back.
pub async fn big(mut client: CallbackClient<SubChannel>, bytes: u32) -> Result<Summary, Status> {
    let sent = Payload { seq: 1, data: pattern(1, bytes) };
    let got = client.big(sent.clone()).await?.into_inner();
    Ok(Summary { messages: 1, bytes: got.data.len() as u64, intact: got == sent })
}

fn pattern(seq: u64, bytes: u32) -> Vec<u8> {
    (0..u64::from(bytes)).map(|at| (at * 31 + seq) as u8).collect()
}

/// An error as a status, for a handler that dials.
pub fn failed(error: impl Error) -> Status {
    Status::internal(error.to_string())
}
