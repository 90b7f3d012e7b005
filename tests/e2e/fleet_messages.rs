//! Messages that are lost: executors reach the scheduler by way of a host that swallows some. Ballista sends a task's end once
//! and forgets it; the controller notices that nothing moves and submits the job again.

use crate::fleet::{Detour, Fleet, Night, Options, Running, times};
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::scheduler_grpc_server::{SchedulerGrpc, SchedulerGrpcServer};
use ballista_core::serde::protobuf::{
    CancelJobParams, CancelJobResult, CleanJobDataParams, CleanJobDataResult, CreateUpdateSessionParams,
    CreateUpdateSessionResult, ExecuteQueryParams, ExecuteQueryResult, ExecutorStoppedParams, ExecutorStoppedResult,
    GetJobMetricsParams, GetJobMetricsResult, GetJobStatusParams, GetJobStatusResult, HeartBeatParams, HeartBeatResult,
    PollWorkParams, PollWorkResult, RegisterExecutorParams, RegisterExecutorResult, RemoveSessionParams,
    RemoveSessionResult, UpdateTaskStatusParams, UpdateTaskStatusResult,
};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

const LIMIT: Duration = Duration::from_secs(150);

/// What is lost of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// It never arrives.
    Message,
    /// It arrives, its answer does not.
    Answer,
}

/// Numbers of messages that are lost, by kind of message, counted from zero; and how many there were.
#[derive(Default)]
struct Plan {
    lose: BTreeMap<&'static str, (u64, Lost)>,
    seen: BTreeMap<&'static str, u64>,
    lost: u64,
}

/// The host between executors and scheduler.
#[derive(Clone)]
struct Swallower {
    to: SchedulerGrpcClient<Channel>,
    plan: Arc<Mutex<Plan>>,
}

impl Swallower {
    /// What is lost of this message.
    fn fate(&self, kind: &'static str) -> Option<Lost> {
        let mut plan = self.plan.lock().unwrap();
        let seen = plan.seen.entry(kind).or_default();
        *seen += 1;
        let n = *seen - 1;
        let fate = plan.lose.get(kind).filter(|(wanted, _)| *wanted == n).map(|(_, lost)| *lost);
        plan.lost += u64::from(fate.is_some());
        fate
    }
}

/// What a client hears when a connection breaks.
fn broken<T>() -> Result<T, Status> {
    Err(Status::unavailable("swallowed"))
}

macro_rules! forward {
    ($($name:ident: $params:ident => $result:ident;)*) => {
        #[tonic::async_trait]
        impl SchedulerGrpc for Swallower {
            type ExecuteQueryPushStream = tonic::Streaming<GetJobStatusResult>;

            async fn execute_query_push(
                &self,
                request: Request<ExecuteQueryParams>,
            ) -> Result<Response<Self::ExecuteQueryPushStream>, Status> {
                self.to.clone().execute_query_push(request).await
            }

            $(async fn $name(&self, request: Request<$params>) -> Result<Response<$result>, Status> {
                let fate = self.fate(stringify!($name));
                if fate == Some(Lost::Message) {
                    return broken();
                }
                let answer = self.to.clone().$name(request).await;
                if fate == Some(Lost::Answer) { broken() } else { answer }
            })*
        }
    };
}

forward! {
    poll_work: PollWorkParams => PollWorkResult;
    register_executor: RegisterExecutorParams => RegisterExecutorResult;
    heart_beat_from_executor: HeartBeatParams => HeartBeatResult;
    update_task_status: UpdateTaskStatusParams => UpdateTaskStatusResult;
    create_update_session: CreateUpdateSessionParams => CreateUpdateSessionResult;
    remove_session: RemoveSessionParams => RemoveSessionResult;
    execute_query: ExecuteQueryParams => ExecuteQueryResult;
    get_job_status: GetJobStatusParams => GetJobStatusResult;
    get_job_metrics: GetJobMetricsParams => GetJobMetricsResult;
    executor_stopped: ExecutorStoppedParams => ExecutorStoppedResult;
    cancel_job: CancelJobParams => CancelJobResult;
    clean_job_data: CleanJobDataParams => CleanJobDataResult;
}

/// A fleet behind a swallower.
struct Site {
    fleet: Fleet,
    plan: Arc<Mutex<Plan>>,
    _runtime: Runtime,
}

impl Site {
    fn new(lose: Option<(&'static str, u64, Lost)>) -> Self {
        let runtime = crate::support::runtime();
        let plan = Arc::new(Mutex::new(Plan::default()));
        lose.into_iter().for_each(|(kind, n, lost)| _ = plan.lock().unwrap().lose.insert(kind, (n, lost)));
        let open = |at: SocketAddr, scheduler: SocketAddr| {
            let _entered = runtime.enter();
            let to = Endpoint::from_shared(format!("http://{scheduler}")).unwrap().connect_lazy();
            let to = SchedulerGrpcClient::new(to).max_decoding_message_size(64 << 20);
            let service =
                SchedulerGrpcServer::new(Swallower { to, plan: plan.clone() }).max_decoding_message_size(64 << 20);
            runtime.spawn(tonic::transport::Server::builder().add_service(service).serve(at));
        };
        // All of 127.0.0.0/8 is this host, so that another address of it has the scheduler's port free.
        let detour = Detour { at: Ipv4Addr::new(127, 0, 0, 2), open: &open };
        let fleet = Fleet::start(&Options { detour: Some(detour), ..Options::default() });
        Self { fleet, plan, _runtime: runtime }
    }

    /// Loses the `n`-th message of a kind from now on.
    fn lose(&self, kind: &'static str, n: u64, lost: Lost) {
        let mut plan = self.plan.lock().unwrap();
        *plan = Plan::default();
        plan.lose.insert(kind, (n, lost));
    }

    fn lost(&self) -> u64 {
        self.plan.lock().unwrap().lost
    }
}

/// A fresh night with the rows of an undisturbed one. Out: how long it took, and what the controller said.
fn assert_published(name: &str, site: &Site, night: &Night, rows: &[String; 2]) -> (Duration, String) {
    night.forget();
    let (said, took) = Running::start(&mut site.fleet.send(night.run())).end(LIMIT);
    eprintln!("{name}: {} after {:.1} s", said.code, took.as_secs_f64());
    assert_eq!(said.code, 0, "{name}: {}\n{}", said.stderr, site.fleet.said());
    assert_eq!(&night.digests(), rows, "{name}");
    assert_eq!(night.versions(), [1, 1], "{name}");
    (took, said.stderr)
}

#[test]
fn a_lost_end_of_a_task_is_noticed_and_the_job_submitted_again() {
    let site = Site::new(None);
    let night = Night::new(200, 120, 16);
    let rows = night.expected();
    let messages = {
        site.lose("none", 0, Lost::Message);
        assert_published("nothing lost", &site, &night, &rows);
        site.plan.lock().unwrap().seen["update_task_status"]
    };
    let rounds = u64::from(times(2, 8));
    for round in 0..rounds {
        let n = messages * round / rounds;
        site.lose("update_task_status", n, Lost::Message);
        let (took, said) = assert_published(&format!("status {n} of {messages} lost"), &site, &night, &rows);
        assert_eq!(site.lost(), 1);
        assert!(said.contains("no task began or ended for 10 s"), "{said}");
        assert!(took >= Duration::from_secs(10), "{took:?}");
    }
    eprintln!("end of a task lost: {rounds} of {rounds}");
}

#[test]
fn a_lost_answer_or_sign_of_life_costs_nothing() {
    let site = Site::new(None);
    let night = Night::new(200, 120, 16);
    let rows = night.expected();
    let mut lost = vec![("update_task_status", Lost::Answer), ("heart_beat_from_executor", Lost::Message)];
    lost.push(("heart_beat_from_executor", Lost::Answer));
    let rounds = u64::from(times(1, 4));
    for (kind, what) in lost {
        for round in 0..rounds {
            site.lose(kind, round, what);
            assert_published(&format!("{what:?} {round} of {kind} lost"), &site, &night, &rows);
            while site.lost() == 0 {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

#[test]
fn an_executor_whose_registration_is_lost_comes_back() {
    for what in [Lost::Message, Lost::Answer] {
        let site = Site::new(Some(("register_executor", 1, what)));
        assert_eq!(site.lost(), 1);
        let night = Night::new(60, 90, 8);
        let rows = night.expected();
        assert_published(&format!("{what:?} of a registration lost"), &site, &night, &rows);
    }
}
