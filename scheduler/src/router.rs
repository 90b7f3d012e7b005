//! What the scheduler answers on its port. In: requests of clients, executors and people. Out: Ballista's gRPC service,
//! progress of jobs, and the part of Ballista's REST interface that reads and shows no settings.

use crate::cluster::Server;
use crate::progress::Progress;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::api::get_routes;
use lakecast_engine::fleet::MESSAGE_BYTES_MAX;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tonic::service::Routes;

/// Whether the scheduler takes new jobs.
#[derive(Clone, Default)]
pub(crate) struct Draining(Arc<AtomicBool>);

impl Draining {
    /// No new job from now on.
    pub(crate) fn start(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Everything that is served on the port for clients and executors.
pub(crate) fn router(server: Server, progress: Progress, draining: Draining) -> Router {
    let grpc = SchedulerGrpcServer::new(server.clone())
        .max_decoding_message_size(MESSAGE_BYTES_MAX as usize)
        .max_encoding_message_size(MESSAGE_BYTES_MAX as usize);
    let grpc = Routes::new(grpc).into_axum_router().layer(from_fn_with_state(draining, refuse_new_jobs));
    let job =
        get(|State(progress): State<Progress>, Path(job): Path<String>| async move { Json(progress.of(&job).await) });
    let progress = Router::new().route("/lakecast/job/{id}", job).with_state(progress);
    get_routes(Arc::new(server)).layer(from_fn(harmless)).merge(progress).merge(grpc)
}

/// Ballista's REST without the settings of sessions, the link to a page on another host, the drawing of plans, and whatever
/// changes something.
async fn harmless(request: Request, next: Next) -> Response {
    let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    let allowed = request.method() == Method::GET
        && matches!(
            path.as_slice(),
            ["api", "state" | "version" | "executors" | "jobs"]
                | ["api", "executor" | "job", _]
                | ["api", "job", _, "stages"]
        );
    match allowed {
        true => next.run(request).await,
        false => (StatusCode::NOT_FOUND, "not served: settings of sessions, drawings of plans, changes of jobs\n")
            .into_response(),
    }
}

/// While the scheduler drains, jobs under way go on and new ones are refused.
async fn refuse_new_jobs(State(draining): State<Draining>, request: Request, next: Next) -> Response {
    if draining.0.load(Ordering::Relaxed) && request.uri().path().contains("/ExecuteQuery") {
        return tonic::Status::unavailable("the scheduler is stopping: submit again").into_http::<axum::body::Body>();
    }
    next.run(request).await
}
