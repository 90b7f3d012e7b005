//! Shuffle files over Arrow Flight, and nothing else. In: tickets of other executors and clients. Out: files of the job that
//! a ticket names, read by Ballista's service; any other request is refused before it reaches the file system.

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use ballista_core::error::BallistaError;
use ballista_core::serde::decode_protobuf;
use ballista_core::serde::scheduler::Action as Wanted;
use ballista_core::utils::{GrpcServerConfig, create_grpc_server};
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::shutdown::Shutdown;
use lakecast_engine::fleet::MESSAGE_BYTES_MAX;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status, Streaming};

/// Serves the shuffle files below `work_dir` until `until` is over, which is later than Ballista's own end: files of an
/// executor that drains are still read by others.
pub(crate) fn serve(
    work_dir: String,
    address: SocketAddr,
    mut ballistas: Shutdown,
    config: GrpcServerConfig,
    until: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<Result<(), BallistaError>> {
    let inner = BallistaFlightService::new(work_dir.clone());
    let service = FlightServiceServer::new(Guarded { inner, work_dir })
        .max_decoding_message_size(MESSAGE_BYTES_MAX as usize)
        .max_encoding_message_size(MESSAGE_BYTES_MAX as usize);
    tokio::spawn(async move {
        let end = async move {
            ballistas.recv().await;
            until.await;
        };
        let served = create_grpc_server(&config).add_service(service).serve_with_shutdown(address, end).await;
        served.map_err(|e| {
            tracing::error!("shuffle files are not served: {e}; is the port taken? address={address}");
            BallistaError::TonicError(e)
        })
    })
}

/// Whether `job_id` is a name that our scheduler gives: 128 random bits in hex. Anything else could be a path.
pub(crate) fn is_job_id(job_id: &str) -> bool {
    job_id.len() == 32 && job_id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

struct Guarded {
    inner: BallistaFlightService,
    work_dir: String,
}

impl Guarded {
    /// Lets a ticket through that names a job which has files here.
    fn check(&self, ticket: &[u8]) -> Result<(), Status> {
        let Ok(Wanted::FetchPartition { job_id, .. }) = decode_protobuf(ticket) else {
            return Err(Status::invalid_argument("not a ticket for a shuffle file"));
        };
        if !is_job_id(job_id.as_str()) {
            tracing::warn!(job = job_id.as_str(), "refused a ticket whose job cannot be one");
            return Err(Status::permission_denied("not the name of a job"));
        }
        match Path::new(&self.work_dir).join(job_id.as_str()).is_dir() {
            true => Ok(()),
            false => Err(Status::not_found(format!("no files of this job here: job={job_id}"))),
        }
    }
}

fn refused<T>(what: &str) -> Result<T, Status> {
    Err(Status::unimplemented(format!("{what} is not served: this port serves shuffle files only")))
}

#[tonic::async_trait]
impl FlightService for Guarded {
    type HandshakeStream = futures::stream::Empty<Result<HandshakeResponse, Status>>;
    type ListFlightsStream = futures::stream::Empty<Result<FlightInfo, Status>>;
    type DoGetStream = <BallistaFlightService as FlightService>::DoGetStream;
    type DoPutStream = futures::stream::Empty<Result<PutResult, Status>>;
    type DoExchangeStream = futures::stream::Empty<Result<FlightData, Status>>;
    type DoActionStream = <BallistaFlightService as FlightService>::DoActionStream;
    type ListActionsStream = futures::stream::Empty<Result<ActionType, Status>>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        self.check(&request.get_ref().ticket)?;
        self.inner.do_get(request).await
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        self.check(&request.get_ref().body)?;
        self.inner.do_action(request).await
    }

    async fn handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        refused("handshake")
    }

    async fn list_flights(&self, _request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        refused("list_flights")
    }

    async fn get_flight_info(&self, _request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        refused("get_flight_info")
    }

    async fn poll_flight_info(&self, _request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        refused("poll_flight_info")
    }

    async fn get_schema(&self, _request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        refused("get_schema")
    }

    async fn do_put(&self, _request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        refused("do_put")
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        refused("do_exchange")
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        refused("list_actions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_that_our_scheduler_gives_are_jobs() {
        assert!(is_job_id("0123456789abcdef0123456789abcdef"));
        for hostile in
            ["", "..", "../../etc", "/etc", "0123456789ABCDEF0123456789abcdef", "0123456789abcdef/123456789abcdef"]
        {
            assert!(!is_job_id(hostile), "{hostile}");
        }
    }
}
