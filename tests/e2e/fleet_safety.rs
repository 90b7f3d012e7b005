//! What a fleet refuses, what it never tells, and how it says what is wrong: hostile tickets, foreign versions, wrong
//! settings, locations outside the allow-list, missing rights, full disks, secrets in debug logs.

use crate::fleet::{EXECUTOR, Fleet, Night, Options, Process, Running, SCHEDULER, ask, free_ports, probe};
use crate::s3::{BUCKET, Lakes, SECRET, server, wait};
use crate::support::{Said, ok, run, runtime, skip};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::flight_service_server::FlightServiceServer;
use arrow_flight::{Action, Criteria, Empty, FlightData, FlightDescriptor, HandshakeRequest, Ticket};
use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::action::ActionType;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::executor_resource::Resource;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    self, ExecuteQueryParams, ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorResource,
    ExecutorSpecification, FetchPartition, HeartBeatParams, RegisterExecutorParams, ShuffleLayout,
};
use ballista_core::version::insert_version_header;
use ballista_executor::flight_service::BallistaFlightService;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion_proto::protobuf::logical_plan_node::LogicalPlanType;
use datafusion_proto::protobuf::{LogicalExtensionNode, LogicalPlanNode};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use prost::Message;
use serde_json::Value;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

/// The longest that anything here may take before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(150);

/// Stands in files that no ticket may reach.
const HIDDEN: &str = "hidden-5b1e77-from-tickets";
/// The name of a job, by its form.
const JOB_ID: &str = "0123456789abcdef0123456789abcdef";

/// Shuffle files that hold one row, `text`, in every place where a ticket of [`ticket`] looks.
fn plant(job_dir: &Path, text: &str) {
    let column = Arc::new(StringArray::from(vec![text]));
    let batch = RecordBatch::try_from_iter([("text", column as _)]).unwrap();
    let dir = job_dir.join("1/0");
    fs::create_dir_all(&dir).unwrap();
    for name in ["data.arrow", "data-0.arrow"] {
        let mut writer = StreamWriter::try_new(File::create(dir.join(name)).unwrap(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    }
}

fn ticket(job_id: &str, file_id: Option<u64>, byte_ranges: Vec<protobuf::ByteRange>) -> Vec<u8> {
    let wanted = FetchPartition {
        job_id: job_id.into(),
        stage_id: 1,
        host: "localhost".into(),
        port: 1,
        file_id,
        layout: ShuffleLayout::Passthrough as i32,
        byte_ranges,
        ..FetchPartition::default()
    };
    protobuf::Action { settings: vec![], action_type: Some(ActionType::FetchPartition(wanted)) }.encode_to_vec()
}

/// Names of jobs that none has, of which many are paths to planted files.
fn hostile_names(fleet: &Path) -> Vec<String> {
    let beside = fleet.join("beside");
    let mut names: Vec<String> = [
        "",
        ".",
        "..",
        "/",
        "../..",
        "../beside",
        "../beside/",
        "./../beside",
        "../executor-0/../beside",
        "//..//beside",
        "../fedcba9876543210fedcba9876543210",
        "..%2fbeside",
        "..\\beside",
        "\0",
        "../beside\0",
        "\n",
        "beside",
        "~",
        "日本",
        "٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦٧٨٩٠١",
        "0123456789ABCDEF0123456789ABCDEF",
        "fedcba9876543210fedcba9876543210",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
    ]
    .map(String::from)
    .to_vec();
    names.extend([beside.display().to_string(), format!("{}/../beside", fleet.join("executor-0").display())]);
    names.extend([
        format!("{JOB_ID}/../../beside"),
        format!("{JOB_ID}/.."),
        format!("{JOB_ID}\0"),
        format!("{JOB_ID}/"),
    ]);
    names.extend(["a".repeat(10_000), "../".repeat(3_333), format!("../beside{}", "/.".repeat(5_000))]);
    names
}

/// Bytes that are no ticket: cut off, and random ones.
fn garbage() -> Vec<Vec<u8>> {
    let whole = ticket("../beside", None, vec![]);
    let mut all: Vec<Vec<u8>> = (0..whole.len()).step_by(3).map(|n| whole[..n].to_vec()).collect();
    let mut state = 7_u64;
    for length in [1, 2, 3, 16, 17, 100, 1_000, 65_536] {
        let byte = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        all.push((0..length).map(byte).collect());
    }
    all
}

type Flight = FlightServiceClient<Channel>;

async fn got(flight: &Flight, ticket: &[u8]) -> Result<Vec<u8>, tonic::Status> {
    let stream = flight.clone().do_get(Ticket { ticket: ticket.to_vec().into() }).await?.into_inner();
    let parts: Vec<FlightData> = stream.try_collect().await?;
    Ok(parts.iter().flat_map(|p| [p.data_header.as_ref(), p.data_body.as_ref()].concat()).collect())
}

async fn acted(flight: &Flight, kind: &str, body: &[u8]) -> Result<Vec<u8>, tonic::Status> {
    let action = Action { r#type: kind.into(), body: body.to_vec().into() };
    let parts: Vec<_> = flight.clone().do_action(action).await?.into_inner().try_collect().await?;
    Ok(parts.iter().flat_map(|p| p.body.to_vec()).collect())
}

const BLOCKS: &str = "IO_BLOCK_TRANSPORT";

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

/// The answers to one ticket in every way to ask for it.
async fn both(flight: &Flight, ticket: &[u8]) -> [Result<Vec<u8>, tonic::Status>; 2] {
    [got(flight, ticket).await, acted(flight, BLOCKS, ticket).await]
}

async fn flight_at(port: u16) -> Flight {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    for _ in 0..100 {
        if let Ok(channel) = endpoint.connect().await {
            return FlightServiceClient::new(channel);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody listens at {port}");
}

#[test]
fn no_ticket_reads_anything_but_shuffle_files_of_a_job() {
    let night = Night::new(60, 60, 4);
    let expected = night.expected();
    let fleet = Fleet::start(&Options { executors: 1, ..Options::default() });
    let work_dir = fleet.dir.path().join("executor-0");
    for dir in
        [fleet.dir.path().join("beside"), fleet.dir.path().join("fedcba9876543210fedcba9876543210"), work_dir.clone()]
    {
        plant(&dir, HIDDEN);
    }
    const SHUFFLED: &str = "a-row-that-is-shuffled";
    plant(&work_dir.join(JOB_ID), SHUFFLED);
    let port = free_ports(1)[0];
    let (asked, revealed) = runtime().block_on(async {
        // Ballista's own service over the same folder: what a ticket reads without our guard.
        let service = FlightServiceServer::new(BallistaFlightService::new(work_dir.display().to_string()));
        let unguarded = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(unguarded.serve((Ipv4Addr::LOCALHOST, port).into()));
        let (guarded, unguarded) = (flight_at(fleet.flight[0]).await, flight_at(port).await);
        for answer in both(&guarded, &ticket(JOB_ID, None, vec![])).await {
            assert!(holds(&answer.unwrap(), SHUFFLED), "a good ticket is not served");
        }
        let (mut asked, mut revealed) = (0, 0);
        let mut hostile = garbage();
        for name in hostile_names(fleet.dir.path()) {
            hostile.extend([None, Some(0)].map(|file| ticket(&name, file, vec![])));
        }
        for ticket in &hostile {
            for answer in both(&guarded, ticket).await {
                asked += 1;
                let refusal = answer.expect_err("a hostile ticket is served");
                let clear = [Code::InvalidArgument, Code::PermissionDenied, Code::NotFound];
                assert!(clear.contains(&refusal.code()), "{refusal:?}: {}", String::from_utf8_lossy(ticket));
                assert!(!refusal.message().contains(HIDDEN));
            }
            let without = both(&unguarded, ticket).await;
            revealed += without.iter().filter(|a| a.as_ref().is_ok_and(|bytes| holds(bytes, HIDDEN))).count();
        }
        // Ranges far beyond the file, of a job that is here: at most what the file holds.
        for (offset, length) in [(0, u64::MAX), (u64::MAX, u64::MAX), (1 << 40, 1 << 40), (u64::MAX - 1, 2)] {
            let ranges = vec![protobuf::ByteRange { offset, length }; 100];
            for answer in both(&guarded, &ticket(JOB_ID, None, ranges)).await {
                assert!(answer.is_err() || answer.is_ok_and(|bytes| bytes.len() < 100_000), "{offset} {length}");
            }
        }
        for kind in ["", "io_block_transport", "DropJob", "../beside", &"x".repeat(10_000)] {
            let answer = acted(&guarded, kind, &ticket(JOB_ID, None, vec![])).await;
            assert_eq!(answer.expect_err(kind).code(), Code::Unimplemented);
        }
        all_else_is_refused(guarded).await;
        (asked, revealed)
    });
    eprintln!("hostile tickets: {asked} refused of {asked}; without the guard {revealed} of them read a file outside");
    assert!(asked >= 100 && revealed >= 10, "{asked} {revealed}");
    ok(&mut fleet.send(night.run()));
    assert_eq!(night.digests(), expected);
}

async fn all_else_is_refused(mut flight: Flight) {
    let none = futures::stream::iter(vec![FlightData::default(); 3]);
    let hello = futures::stream::iter([HandshakeRequest::default()]);
    let descriptor = FlightDescriptor::new_path(vec!["../beside".into()]);
    let codes = [
        flight.do_put(none.clone()).await.map(|_| ()),
        flight.do_exchange(none).await.map(|_| ()),
        flight.handshake(hello).await.map(|_| ()),
        flight.list_flights(Criteria::default()).await.map(|_| ()),
        flight.list_actions(Empty {}).await.map(|_| ()),
        flight.get_flight_info(descriptor.clone()).await.map(|_| ()),
        flight.poll_flight_info(descriptor.clone()).await.map(|_| ()),
        flight.get_schema(descriptor).await.map(|_| ()),
    ]
    .map(|answer| answer.unwrap_err().code());
    assert_eq!(codes, [Code::Unimplemented; 8]);
}

/// What stands below the head of an answer.
fn json(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

/// The jobs that a scheduler remembers.
fn jobs(fleet: &Fleet) -> Vec<String> {
    let (code, answer) = probe(fleet.address, "/api/jobs").unwrap();
    assert_eq!(code, 200, "{answer}");
    json(&answer).as_array().unwrap().iter().map(|j| j["job_id"].as_str().unwrap().to_string()).collect()
}

#[test]
fn the_scheduler_shows_jobs_and_stages_but_neither_sessions_nor_drawings() {
    let night = Night::new(20, 60, 4);
    let fleet = Fleet::start(&Options { executors: 1, ..Options::default() });
    ok(&mut fleet.send(night.run()));
    let job = jobs(&fleet).first().cloned().unwrap();
    let shown =
        [format!("/api/job/{job}"), format!("/api/job/{job}/stages"), "/api/executors".into(), "/api/jobs".into()];
    for path in shown {
        let (code, answer) = probe(fleet.address, &path).unwrap();
        assert!(code == 200 && !json(&answer).is_null(), "{path}: {answer}");
    }
    assert_eq!(json(&probe(fleet.address, "/api/executors").unwrap().1).as_array().unwrap().len(), 1);
    let hidden = [
        "/",
        "/api/openapi.json",
        "/api",
        "/api/metrics",
        "/api/job/{}/config",
        "/api/job/{}/config/",
        "//api/job/{}/config",
        "/api//job/{}/config",
        "/api/job/{}%2Fconfig",
        "/api/job/{}/dot",
        "/api/job/{}/dot_svg",
        "/api/job/{}/stage/1/dot",
    ];
    for path in hidden.map(|path| path.replace("{}", &job)) {
        let (code, answer) = probe(fleet.address, &path).unwrap();
        // What is no path of REST is taken for a gRPC method that nobody knows.
        assert!(code == 404 || answer.contains("grpc-status: 12"), "{path}: {answer}");
        assert!(!answer.contains("datafusion.") && !answer.contains("digraph"), "{path}: {answer}");
    }
    // REST reads only: what changes a job has one way in, and that is gRPC.
    for unknown in [JOB_ID, "..", "%00", "%2e%2e%2f", "a"] {
        for method in ["PATCH", "GET"] {
            assert_eq!(
                ask(fleet.address, method, &format!("/api/job/{unknown}")).unwrap().0,
                404,
                "{method} {unknown}"
            );
        }
    }
    assert_eq!(ask(fleet.address, "PATCH", &format!("/api/job/{job}")).unwrap().0, 404);
    night.forget();
    ok(&mut fleet.send(night.run()));
}

fn registration(id: &str, grpc_port: u16) -> ExecutorRegistration {
    ExecutorRegistration {
        id: id.into(),
        host: Some("127.0.0.1".into()),
        port: 1,
        grpc_port: grpc_port.into(),
        specification: Some(ExecutorSpecification {
            resources: vec![ExecutorResource { resource: Some(Resource::Vcores(64)) }],
        }),
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    }
}

#[test]
fn an_executor_or_a_client_of_another_version_is_refused() {
    let night = Night::new(60, 60, 4);
    let expected = night.expected();
    let fleet = Fleet::start(&Options { executors: 1, ..Options::default() });
    // Accepts the scheduler's look whether somebody is there, and counts who comes: a task would come by another connection.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        let mut held = vec![];
        for connection in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            held.push(connection);
        }
    });
    let foreign = "lakecast-0.0.9-5d7f5d7f5d7f5d7f5d7f5d7f5d7f5d7f";
    runtime().block_on(async {
        let mut scheduler = SchedulerGrpcClient::connect(fleet.url()).await.unwrap();
        let metadata = Some(registration(foreign, port));
        let refused =
            scheduler.register_executor(RegisterExecutorParams { metadata: metadata.clone() }).await.unwrap_err();
        let both = [concat!("scheduler=", env!("CARGO_PKG_VERSION")), "executor=lakecast-0.0.9-"];
        assert!(both.iter().all(|v| refused.message().contains(v)), "{}", refused.message());
        let beat = HeartBeatParams { executor_id: foreign.into(), metrics: vec![], status: None, metadata };
        let refused = scheduler.heart_beat_from_executor(beat).await.unwrap_err();
        assert!(both.iter().all(|v| refused.message().contains(v)), "{}", refused.message());
        // A registration without its parts does no harm.
        let broken = ExecutorRegistration { specification: None, os_info: None, ..registration(foreign, port) };
        assert!(scheduler.register_executor(RegisterExecutorParams { metadata: Some(broken) }).await.is_err());

        let mut scheduler = SchedulerGrpcClient::connect(fleet.url()).await.unwrap();
        let node = LogicalExtensionNode { node: b"lakecast/0.0.9 {\"GroupMap\":{}}".to_vec(), inputs: vec![] };
        let plan = LogicalPlanNode { logical_plan_type: Some(LogicalPlanType::Extension(node)) };
        let query = Some(Query::LogicalPlan(plan.encode_to_vec()));
        let mut request = tonic::Request::new(ExecuteQueryParams { query, ..ExecuteQueryParams::default() });
        insert_version_header(request.metadata_mut());
        let refused = format!("{:?}", scheduler.execute_query(request).await);
        let both = [concat!("here=", env!("CARGO_PKG_VERSION")), "there=0.0.9", "must be of the same lakecast version"];
        assert!(both.iter().all(|v| refused.contains(v)), "{refused}");
    });
    let looks = connections.load(Ordering::SeqCst);
    assert!(looks >= 1, "the registration did not come to the scheduler's look at the executor");
    ok(&mut fleet.send(night.run()));
    assert_eq!(night.digests(), expected);
    assert_eq!(connections.load(Ordering::SeqCst), looks, "a task was sent to a refused executor");
    assert_eq!(fleet.scheduler.metric("lakecast_executors"), 1.0);
    assert!(!probe(fleet.address, "/api/executors").unwrap().1.contains(foreign));
}

/// A service that is started alone. Ends with this value.
struct Alone(Child);

impl Alone {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for an answer of `address`.
fn answers(address: SocketAddr, path: &str, wanted: u16) {
    let started = Instant::now();
    while probe(address, path).is_none_or(|(code, _)| code != wanted) {
        assert!(started.elapsed() < Duration::from_secs(60), "{address}{path} is not {wanted}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command that must end by itself.
fn ended(command: &mut Command) -> Said {
    Running::start(command).end(Duration::from_secs(20)).0
}

fn says(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, code, "{}", said.stderr);
    for part in parts {
        assert!(said.stderr.contains(part), "expected {part:?} in: {}", said.stderr);
    }
}

#[test]
fn wrong_settings_end_with_2_and_name_what_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("service.yaml");
    let work_dir = format!("--work-dir={}", dir.path().join("work").display());
    let started = |binary: &str, text: &str, flags: &[&str]| {
        fs::write(&file, text).unwrap();
        let mut command = Command::new(binary);
        command.arg("--config").arg(&file).args(flags);
        if binary == EXECUTOR {
            command.arg(&work_dir);
        }
        ended(&mut command)
    };
    let wrong: [(&str, &str, &[&str], &[&str]); 14] = [
        (
            SCHEDULER,
            "\nexecutor-timeout-secods: 5",
            &[],
            &["service.yaml:2", "executor-timeout-secods", "did you mean `executor-timeout-seconds`"],
        ),
        (EXECUTOR, "memry: 1GiB", &[], &["service.yaml:1", "memry", "did you mean `memory`"]),
        (SCHEDULER, "", &["--helth=127.0.0.1:1"], &["--helth", "'--health'"]),
        (EXECUTOR, "", &["--spill-limt=1GiB"], &["--spill-limt", "'--spill-limit'"]),
        (SCHEDULER, "task-attempts: many", &[], &["service.yaml:1", "task-attempts", "many"]),
        (EXECUTOR, "memory: 4 cows", &[], &["service.yaml:1", "memory", "4 cows"]),
        (SCHEDULER, "", &["--bind=everywhere"], &["--bind", "everywhere"]),
        (EXECUTOR, "", &["--memory=much"], &["--memory", "much"]),
        (EXECUTOR, "", &["--scheduler=nowhere"], &["--scheduler", "nowhere", "host:port"]),
        (EXECUTOR, "scheduler: nowhere:high", &[], &["service.yaml:1", "scheduler", "nowhere:high"]),
        (SCHEDULER, "", &["--log-level=lakecast=loud"], &["--log-level", "lakecast=loud", "allowed="]),
        (EXECUTOR, "log-level: lakecast=loud", &[], &["service.yaml:1", "log-level", "allowed="]),
        (SCHEDULER, "allow: ['ftp://x/']", &[], &["service.yaml:1", "allow", "ftp://x/"]),
        (EXECUTOR, "", &["--allow=ftp://x/"], &["--allow", "ftp://x/"]),
    ];
    for (binary, text, flags, parts) in wrong {
        says(&started(binary, text, flags), 2, parts);
    }
    for binary in [SCHEDULER, EXECUTOR] {
        let said = ended(Command::new(binary).args(["--config", "/nowhere/service.yaml"]));
        says(&said, 2, &["cannot read the settings", "/nowhere/service.yaml"]);
    }
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("service.yaml");
    for (binary, variable) in [(SCHEDULER, "LAKECAST_SCHEDULER_HEALTH"), (EXECUTOR, "LAKECAST_EXECUTOR_HEALTH")] {
        let ports = free_ports(6);
        let at = |i: usize| SocketAddr::from((Ipv4Addr::LOCALHOST, ports[i]));
        let own = match binary {
            SCHEDULER => format!("bind: 127.0.0.1:{}\n", ports[3]),
            _ => format!(
                "port: {}\ngrpc-port: {}\nwork-dir: {}\nscheduler: 127.0.0.1:{}\n",
                ports[3],
                ports[4],
                dir.path().join("work").display(),
                ports[5]
            ),
        };
        fs::write(&file, format!("{own}health: {}\n", at(0))).unwrap();
        let command = || {
            let mut command = Command::new(binary);
            command.arg("--config").arg(&file);
            command
        };
        let flag = format!("--health={}", at(2));
        for (speaks, mut command) in [(0, command()), (1, command()), (2, command())] {
            if speaks > 0 {
                command.env(variable, at(1).to_string());
            }
            if speaks > 1 {
                command.arg(&flag);
            }
            let _service = Alone::start(&mut command);
            answers(at(speaks), "/healthz", 200);
            assert!((0..3).filter(|i| *i != speaks).all(|i| probe(at(i), "/healthz").is_none()), "{binary} {speaks}");
        }
    }
}

#[test]
fn a_folder_or_a_port_of_another_is_told_and_ends_with_1() {
    let fleet = Fleet::start(&Options { executors: 1, ..Options::default() });
    let dir = fleet.dir.path();
    let free = free_ports(4).into_iter().map(|p| p.to_string()).collect::<Vec<_>>();
    let executor = |work_dir: &str, port: &str, grpc_port: &str, health: &str| {
        let mut command = Command::new(EXECUTOR);
        command
            .arg(format!("--work-dir={}", dir.join(work_dir).display()))
            .arg(format!("--scheduler={}", fleet.address));
        command.args(["--port", port, "--grpc-port", grpc_port, "--health", &format!("127.0.0.1:{health}")]);
        ended(&mut command)
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| free[i].as_str());
    says(&executor("executor-0", a, b, c), 1, &["another executor uses it", "--work-dir", "executor-0"]);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, ports) in [("--port", [&port, b, c]), ("--grpc-port", [a, &port, c]), ("--health", [a, b, &port])] {
        let said = executor("other", ports[0], ports[1], ports[2]);
        says(&said, 1, &["free the address or set another", &format!("flag={flag}"), &format!("127.0.0.1:{port}")]);
    }
    for (flag, bind, health) in [("--bind", &port, d), ("--health", &free[3], port.as_str())] {
        let flags = [format!("--bind=127.0.0.1:{bind}"), format!("--health=127.0.0.1:{health}")];
        let said = ended(Command::new(SCHEDULER).args(flags));
        says(&said, 1, &["free the address or set another", &format!("flag={flag}"), &format!("127.0.0.1:{port}")]);
    }
    assert_eq!(fleet.scheduler.metric("lakecast_executors"), 1.0);
}

/// A run that fails, and how long it took.
fn failed(fleet: &Fleet, mut command: Command, parts: &[&str]) -> (Said, Duration) {
    command.arg("--scheduler").arg(fleet.url()).args(["--deadline-seconds", "140", "--stall-seconds", "120"]);
    let (said, took) = Running::start(&mut command).end(LIMIT);
    assert!([1, 2].contains(&said.code), "code {}: {}\n{}", said.code, said.stderr, fleet.said());
    for part in parts {
        assert!(said.stderr.contains(part), "expected {part:?} in: {}", said.stderr);
    }
    (said, took)
}

#[test]
fn a_fleet_touches_nothing_outside_its_allow_list() {
    let night = Night::new(20, 60, 4);
    // Without a list every bucket is allowed, and no local path.
    for common in [vec![], vec!["--allow=s3://lake/only/".to_string()]] {
        let fleet = Fleet::start(&Options { executors: 1, common, ..Options::default() });
        failed(&fleet, night.run(), &["outside the allow-list", "location=file:///"]);
        assert_eq!(night.versions(), [0, 0]);
    }
    let Some(server) = server() else { return };
    let (inside, outside) = (Lakes::new(server, "only"), Lakes::new(server, "elsewhere"));
    let only = format!("--allow=s3://{BUCKET}/only/");
    // Refused by the scheduler, by the executors alone, and as another bucket.
    let lists = [(vec![only.clone()], vec![]), (vec![], vec![only]), (vec!["--allow=s3://other/".to_string()], vec![])];
    for (common, flags) in lists {
        let other = common.iter().any(|flag| flag.contains("other"));
        let fleet = Fleet::start(&Options { executors: 1, common, flags, server: Some(server), ..Options::default() });
        failed(
            &fleet,
            outside.run(&outside.remote("")),
            &["outside the allow-list", if other { "location=s3://lake" } else { "elsewhere" }],
        );
        assert_eq!((outside.versions("forecast"), outside.versions("rules")), (0, 0));
        let staged = outside.keys("/forecast").into_iter().filter(|k| k.as_ref().ends_with(".parquet"));
        assert_eq!(staged.count(), 0);
        if !other {
            ok(&mut fleet.send(inside.run(&inside.remote(""))));
            inside.forget_outputs();
        }
    }
}

#[test]
fn executors_without_rights_fail_a_run_soon_and_say_so() {
    let Some(server) = server() else { return };
    let lakes = Lakes::new(server, "rights");
    let [guest, guests_secret] = server.guest();
    let keys = ["-u", "AWS_ACCESS_KEY_ID", "-u", "AWS_SECRET_ACCESS_KEY"].map(String::from).to_vec();
    let nobody = format!("AWS_METADATA_ENDPOINT=http://127.0.0.1:{}", free_ports(1)[0]);
    let wrong: [(&str, Vec<String>); 3] = [
        ("a wrong secret", vec!["AWS_SECRET_ACCESS_KEY=canary-wrong-secret".into()]),
        (
            "a user without rights",
            vec![format!("AWS_ACCESS_KEY_ID={guest}"), format!("AWS_SECRET_ACCESS_KEY={guests_secret}")],
        ),
        ("no credentials", [keys, vec![nobody]].concat()),
    ];
    for (what, changed) in wrong {
        let place = |name: &str, command: Command| {
            let mut placed = Command::new("env");
            placed.args(changed.iter().filter(|_| name.starts_with("executor"))).arg(command.get_program());
            (placed, Ipv4Addr::LOCALHOST)
        };
        let options = Options { executors: 2, server: Some(server), ..Options::default() };
        let fleet = Fleet::start_at(&options, &place);
        let (said, took) = failed(&fleet, lakes.run(&lakes.remote("")), &[]);
        eprintln!("{what}: code {}, {:.1} s: {}", said.code, took.as_secs_f64(), said.stderr.trim());
        assert!(said.stderr.contains("credentials"), "{}", said.stderr);
        assert_eq!((lakes.versions("forecast"), lakes.versions("rules")), (0, 0));
        let heard = format!("{}{}{}", said.stdout, said.stderr, fleet.said());
        for secret in [SECRET, "canary-wrong-secret", guests_secret] {
            assert!(!heard.contains(secret), "{what}: {secret} is told");
        }
    }
}

#[test]
fn the_secret_is_told_nowhere_even_by_debug_logs() {
    let Some(server) = server() else { return };
    let lakes = Lakes::new(server, "canary");
    let common = ["--allow-local", "--log-level=debug"].map(String::from).to_vec();
    let fleet = Fleet::start(&Options { executors: 2, common, server: Some(server), ..Options::default() });
    let night = ok(fleet.send(lakes.run(&lakes.remote(""))).args(["--log-level", "debug"]));
    let table = format!("s={}", lakes.remote("/market/sales/"));
    let query = |text: &str| {
        let mut command = server.command(["sql", "--log-level", "debug", "--table", &table, "-c", text]);
        command.arg("--scheduler").arg(fleet.url());
        run(&mut command)
    };
    let explained = query("EXPLAIN ANALYZE SELECT sku, sum(qty) FROM s GROUP BY sku");
    assert_eq!(explained.code, 0, "{}", explained.stderr);
    let broken = query("SELECT sum(1 / (qty - qty)) FROM s");
    assert_ne!(broken.code, 0, "{}", broken.stdout);

    let mut heard = fleet.said();
    let debug = heard.lines().filter(|line| line.contains("\"DEBUG\"")).count();
    assert!(debug > 50, "{debug} lines");
    for said in [night, explained, broken] {
        assert!(said.stderr.contains("DEBUG"));
        heard.extend([said.stdout, said.stderr]);
    }
    let all = jobs(&fleet);
    assert!(all.len() >= 3, "{all:?}");
    let mut paths = vec!["/api/state".to_string(), "/api/executors".into(), "/api/jobs".into()];
    for job in all {
        paths.extend([format!("/api/job/{job}"), format!("/api/job/{job}/stages"), format!("/lakecast/job/{job}")]);
    }
    for path in paths {
        let (code, answer) = probe(fleet.address, &path).unwrap();
        assert_eq!(code, 200, "{path}: {answer}");
        heard.push_str(&answer);
    }
    for process in fleet.executors.iter().chain([&fleet.scheduler]) {
        heard.push_str(&process.probed("/metrics").unwrap().1);
    }
    assert!(!heard.contains(SECRET), "the secret is told");
    let written = [lakes.keys("/forecast"), lakes.keys("/rules")].concat();
    assert!(written.len() > 6);
    for key in written {
        let bytes = wait(async { server.store().get(&key).await.unwrap().bytes().await.unwrap() });
        assert!(!holds(&bytes, SECRET), "{key} holds the secret");
    }
}

/// A night too large for the executors fails clearly, and a small one succeeds right afterwards.
fn fails_then_works(fleet: &Fleet, large: &Night, parts: &[&str]) {
    let (said, took) = failed(fleet, large.run(), parts);
    assert_eq!(said.code, 1, "{}", said.stderr);
    eprintln!("too large: {:.1} s: {}", took.as_secs_f64(), said.stderr.trim());
    assert_eq!(large.versions(), [0, 0]);
    let small = Night::new(20, 60, 4);
    // Without rules, whose smallest need of memory is more than these executors have.
    let file = small.dir.path().join("nightly.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.split("  rules:").next().unwrap()).unwrap();
    // What the failed job left on the disks goes within seconds.
    let started = Instant::now();
    while run(&mut fleet.send(small.run())).code != 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "a small night does not succeed: {}", fleet.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(small.versions(), [1, 0]);
    fleet.executors.iter().for_each(Process::ready);
    assert_eq!(fleet.scheduler.metric("lakecast_executors_lost_total"), 0.0);
}

#[test]
fn spills_beyond_their_limit_fail_a_run_and_name_the_limit() {
    let large = Night::new(6000, 730, 2);
    let flags = ["--memory=16MiB", "--spill-limit=16MiB"].map(String::from).to_vec();
    let fleet = Fleet::start(&Options { executors: 2, flags, ..Options::default() });
    fails_then_works(&fleet, &large, &["--spill-limit"]);
}

#[test]
fn a_full_work_dir_fails_a_run_and_says_so() {
    let mounted = Command::new("unshare").args(["-m", "true"]).status();
    if !mounted.is_ok_and(|status| status.success()) {
        skip("LAKECAST_REQUIRE_TOOLS", "a small work dir needs root and unshare");
        return;
    }
    const MOUNT: &str = r#"for a; do case $a in --work-dir=*) mkdir -p "${a#*=}"; mount -t tmpfs -o size=1m tmpfs "${a#*=}" || exit;; esac; done; exec "$0" "$@""#;
    let place = |name: &str, command: Command| {
        let mut placed = Command::new("unshare");
        placed.args(["-m", "sh", "-c", MOUNT]).arg(command.get_program());
        (if name.starts_with("executor") { placed } else { command }, Ipv4Addr::LOCALHOST)
    };
    let large = Night::new(6000, 730, 4);
    let fleet = Fleet::start_at(&Options { executors: 2, ..Options::default() }, &place);
    fails_then_works(&fleet, &large, &["--work-dir", "No space left"]);
}

#[test]
fn a_night_moves_every_metric_and_logs_json() {
    let night = Night::new(6000, 730, 8);
    let common = ["--allow-local", "--log-level=info,lakecast=debug"].map(String::from).to_vec();
    let fleet = Fleet::start(&Options { executors: 2, common, ..Options::default() });
    let (mut memory, mut tasks, mut jobs) = (0.0_f64, 0.0_f64, 0.0_f64);
    let mut rows = 0.0;
    // Gauges are read now and then, and a night is short: a few nights show each of them at work.
    for _ in 0..5 {
        night.forget();
        let mut running = Running::start(&mut fleet.send(night.run()));
        while running.is_running() {
            for executor in &fleet.executors {
                memory = memory.max(executor.metric("lakecast_memory_reserved_bytes"));
                tasks = tasks.max(executor.metric("lakecast_tasks_running"));
            }
            jobs = jobs.max(fleet.scheduler.metric("lakecast_jobs_running"));
            std::thread::sleep(Duration::from_millis(20));
        }
        let (said, _) = running.end(LIMIT);
        assert_eq!(said.code, 0, "{}", said.stderr);
        rows += said.json()["tables"].as_array().unwrap().iter().map(|t| t["rows"].as_f64().unwrap()).sum::<f64>();
        if memory > 0.0 && tasks > 0.0 && jobs > 0.0 {
            break;
        }
    }
    assert!(memory > 0.0 && tasks > 0.0 && jobs > 0.0, "memory={memory}, tasks={tasks}, jobs={jobs}");
    let sum = |name: &str| fleet.executors.iter().map(|e| e.metric(name)).sum::<f64>();
    for name in [
        "tasks_total",
        "task_seconds_sum",
        "task_seconds_count",
        "rows_read_total",
        "rows_written_total",
        "bytes_written_total",
        "groups_total",
        "memory_limit_bytes",
    ] {
        assert!(sum(&format!("lakecast_{name}")) > 0.0, "{name}");
    }
    assert_eq!(sum("lakecast_rows_written_total"), rows);
    for name in [
        "jobs_total",
        "job_seconds_sum",
        "job_seconds_count",
        "job_planning_seconds_count",
        "stages_total",
        "executors",
    ] {
        assert!(fleet.scheduler.metric(&format!("lakecast_{name}")) > 0.0, "{name}");
    }
    let broken = Night::new(20, 60, 4);
    let file = broken.dir.path().join("nightly.yaml");
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("SELECT * FROM forecast", "SELECT *, 1 / (step - step) AS bad FROM forecast");
    fs::write(file, text).unwrap();
    let (said, _) = failed(&fleet, broken.run(), &["output forecast"]);
    assert!(said.stderr.to_lowercase().contains("divide by zero"), "{}", said.stderr);
    let started = Instant::now();
    while sum("lakecast_memory_reserved_bytes")
        + sum("lakecast_tasks_running")
        + fleet.scheduler.metric("lakecast_jobs_running")
        > 0.0
    {
        assert!(started.elapsed() < Duration::from_secs(5), "gauges do not return to 0");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (mut of_tasks, mut failures) = (0, 0);
    for line in fleet.said().lines().filter(|line| !line.is_empty()) {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON: {e}: {line}"));
        if event["span"]["name"] == "task" {
            let complete = ["job", "stage", "partition", "attempt"].iter().all(|key| !event["span"][key].is_null());
            assert!(complete, "{line}");
            of_tasks += 1;
            failures += u32::from(event["message"].as_str().unwrap().contains("task failed"));
        }
    }
    assert!(of_tasks > 0 && failures > 0, "{of_tasks} events of tasks, {failures} failures");
}

#[test]
fn readiness_follows_the_scheduler_and_a_stopping_scheduler_takes_no_new_job() {
    let mut fleet = Fleet::start(&Options { executors: 1, ..Options::default() });
    fleet.scheduler.kill_9();
    // An executor that begins without a scheduler waits for it.
    let ports = free_ports(3);
    let health = SocketAddr::from((Ipv4Addr::LOCALHOST, ports[2]));
    let mut command = Command::new(EXECUTOR);
    command
        .arg(format!("--scheduler={}", fleet.address))
        .arg(format!("--work-dir={}", fleet.dir.path().join("early").display()));
    command.args(["--vcores=1", "--allow-local", "--heartbeat-seconds=1", "--host=127.0.0.1"]);
    command.args([format!("--port={}", ports[0]), format!("--grpc-port={}", ports[1]), format!("--health={health}")]);
    let early = Alone::start(&mut command);
    answers(health, "/readyz", 503);
    assert_eq!(probe(health, "/healthz").unwrap().0, 200);
    fleet.scheduler.back();
    answers(health, "/readyz", 200);
    fleet.executors[0].ready();

    drop(early);
    // Until it is missed it is given tasks, and a job that loses it is given back: the scheduler would have none to wait for.
    let dropped = Instant::now();
    while fleet.scheduler.metric("lakecast_executors_lost_total") == 0.0 {
        assert!(dropped.elapsed() < LIMIT, "the scheduler does not miss an executor that was killed");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (long, late) = (Night::new(2000, 365, 16), Night::new(20, 60, 4));
    let mut running = Running::start(&mut fleet.send(long.run()));
    while fleet.executors[0].metric("lakecast_tasks_running") == 0.0 {
        assert!(running.is_running(), "ended before it could be disturbed");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Its job does not end by itself now: the grace period ends it.
    fleet.executors[0].signal("STOP");
    fleet.scheduler.signal("TERM");
    let signalled = Instant::now();
    let refused = runtime().block_on(async {
        let mut scheduler = SchedulerGrpcClient::connect(fleet.url()).await.unwrap();
        loop {
            let mut request = tonic::Request::new(ExecuteQueryParams::default());
            insert_version_header(request.metadata_mut());
            let refused = scheduler.execute_query(request).await.unwrap_err();
            if refused.code() != Code::Internal {
                return refused;
            }
        }
    });
    assert!(
        refused.code() == Code::Unavailable && refused.message().contains("the scheduler is stopping"),
        "{refused}"
    );
    let mut waiting = Running::start(&mut fleet.send(late.run()));
    let code = fleet.scheduler.ended_within(Duration::from_secs(4));
    eprintln!("scheduler: ended {:.1} s after SIGTERM", signalled.elapsed().as_secs_f64());
    assert_eq!(code, Some(0), "{}", fleet.scheduler.said());
    assert!(fleet.scheduler.said().contains("the grace period ends"), "{}", fleet.scheduler.said());
    std::thread::sleep(Duration::from_millis(500));
    assert!(waiting.is_running() && running.is_running(), "the controllers do not wait for the scheduler");
    fleet.executors[0].signal("CONT");
    fleet.scheduler.back();
    for (night, running) in [(&late, waiting), (&long, running)] {
        let (said, _) = running.end(LIMIT);
        assert_eq!(said.code, 0, "{}\n{}", said.stderr, fleet.said());
        assert_eq!(night.versions(), [1, 1]);
    }
}
