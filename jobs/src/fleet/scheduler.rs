//! Ballista's scheduler as the controller sees it. In: plans, names of jobs. Out: names, states and progress of jobs.

use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::execute_query_result::Result as Answer;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{CancelJobParams, ExecuteQueryParams, GetJobStatusParams, KeyValuePair};
use ballista_core::version::insert_version_header;
use lakecast_engine::fleet::{JobProgress, MESSAGE_BYTES_MAX, connections};
use std::time::Duration;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

/// How long an answer about progress may take.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of a job is asked for.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// The scheduler at an address. Cheap to clone; every clone shares the connection.
#[derive(Clone)]
pub struct Scheduler {
    url: String,
    grpc: SchedulerGrpcClient<Channel>,
    http: reqwest::Client,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scheduler({})", self.url)
    }
}

/// Why the scheduler did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It could not be reached, or is ending: ask again.
    Away(String),
    /// It will say the same again: wrong version, a plan that it cannot read.
    Refused(String),
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits, is planned, or runs.
    Running,
    /// Ended well.
    Done,
    /// Ended badly, in Ballista's words.
    Failed(String),
    /// The scheduler does not know it: it was started anew since.
    Forgotten,
}

impl Scheduler {
    /// The scheduler at `http://host:port`. No connection is made yet. Errors: say what is allowed.
    pub fn new(url: &str) -> Result<Self, String> {
        let refuse = |why: &str| format!("bad scheduler: {why}: given={url}, allowed=[http://host:port]");
        let parsed = url::Url::parse(url).map_err(|e| refuse(&e.to_string()))?;
        if parsed.scheme() != "http" || parsed.host_str().is_none() || parsed.port().is_none() {
            return Err(refuse("write http://host:port"));
        }
        let base = format!("http://{}", &parsed[url::Position::BeforeHost..url::Position::AfterPort]);
        let endpoint = Endpoint::from_shared(base.clone()).map_err(|e| refuse(&e.to_string()))?;
        let endpoint = connections()(endpoint).map_err(|e| refuse(&e.to_string()))?;
        let grpc = SchedulerGrpcClient::new(endpoint.connect_lazy())
            .max_encoding_message_size(MESSAGE_BYTES_MAX as usize)
            .max_decoding_message_size(MESSAGE_BYTES_MAX as usize);
        let http = reqwest::Client::builder().timeout(PROGRESS_TIMEOUT).no_proxy().build();
        Ok(Self { url: base, grpc, http: http.map_err(|e| refuse(&e.to_string()))? })
    }

    /// `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Submits a plan under settings, as text. Out: the scheduler's name of the job.
    pub(crate) async fn submit(&self, plan: Vec<u8>, settings: &[(&str, String)]) -> Result<String, Trouble> {
        let pair = |(key, value): &(&str, String)| KeyValuePair { key: key.to_string(), value: Some(value.clone()) };
        let query = ExecuteQueryParams {
            session_id: Uuid::new_v4().to_string(),
            settings: settings.iter().map(pair).collect(),
            operation_id: Uuid::new_v4().to_string(),
            query: Some(Query::LogicalPlan(plan)),
        };
        let mut request = tonic::Request::new(query);
        insert_version_header(request.metadata_mut());
        let answer = self.grpc.clone().execute_query(request).await.map_err(|e| self.trouble(&e))?;
        match answer.into_inner().result {
            Some(Answer::Success(job)) => Ok(job.job_id),
            Some(Answer::Failure(why)) => Err(Trouble::Refused(format!("the scheduler refuses the plan: {why:?}"))),
            None => Err(Trouble::Away("the scheduler gave an empty answer".into())),
        }
    }

    /// What became of a job.
    pub(crate) async fn state(&self, job_id: &str) -> Result<State, Trouble> {
        let params = GetJobStatusParams { job_id: job_id.to_string() };
        let answer = self.grpc.clone().get_job_status(params).await.map_err(|e| self.trouble(&e))?;
        Ok(match answer.into_inner().status.and_then(|s| s.status) {
            Some(Status::Queued(_) | Status::Running(_)) => State::Running,
            Some(Status::Successful(_)) => State::Done,
            Some(Status::Failed(failed)) => State::Failed(failed.error),
            None => State::Forgotten,
        })
    }

    /// Whether it answers and does not know the job.
    pub(crate) async fn has_forgotten(&self, job_id: &str) -> bool {
        matches!(self.state(job_id).await, Ok(State::Forgotten))
    }

    /// How far a job is. Any name gives the executors.
    pub(crate) async fn progress(&self, job_id: &str) -> Result<JobProgress, Trouble> {
        let away = |e: reqwest::Error| Trouble::Away(format!("no progress from the scheduler: {e}: {}", self.url));
        let url = format!("{}/lakecast/job/{job_id}", self.url);
        let bytes = self.http.get(url).send().await.map_err(away)?.bytes().await.map_err(away)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Trouble::Refused(format!("not a lakecast scheduler: {e}: {}", self.url)))
    }

    /// Ends a job. Best effort: what a scheduler that cannot be reached goes on with finishes partitions, and no run waits.
    pub(crate) async fn cancel(&self, job_id: &str) {
        let mut grpc = self.grpc.clone();
        let cancelled = grpc.cancel_job(CancelJobParams { job_id: job_id.to_string() });
        match tokio::time::timeout(CANCEL_TIMEOUT, cancelled).await {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => tracing::debug!(job = job_id, "not cancelled: {e}"),
            Err(_) => tracing::debug!(job = job_id, "not cancelled: no answer"),
        }
    }

    fn trouble(&self, e: &tonic::Status) -> Trouble {
        let text = format!("{}: scheduler={}", e.message(), self.url);
        match e.code() {
            Code::FailedPrecondition | Code::Unimplemented | Code::InvalidArgument | Code::OutOfRange => {
                Trouble::Refused(text)
            }
            _ => Trouble::Away(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scheduler_is_http_host_and_port() {
        assert_eq!(Scheduler::new("http://10.0.0.1:50050/").unwrap().url(), "http://10.0.0.1:50050");
        for bad in ["", "scheduler:50050", "https://s:50050", "http://s", "s3://lake:1/"] {
            let error = Scheduler::new(bad).unwrap_err();
            assert!(error.contains("allowed=[http://host:port]"), "{error}");
        }
    }
}
