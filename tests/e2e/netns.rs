//! Hosts of one machine: network namespaces on a bridge, and cuts between them in which packets vanish.
//!
//! In: names of hosts. Out: commands that run inside them, their addresses, and links to cut and to heal. Needs root and
//! Linux, and `ip`, which is installed where Debian lacks it.

use crate::support::skip;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The host outside: the test's own process and all that it starts without a namespace.
pub(crate) const OUTSIDE: &str = "outside";

/// A bridge `lc77-N` with the address 10.77.N.1 and hosts `lc77-N-NAME` from 10.77.N.2 on. Gone when dropped, with every
/// process that still runs inside; what a killed test process left behind goes when the next network is made.
pub(crate) struct Network {
    number: u8,
    hosts: Vec<String>,
}

/// Runs `ip` with arguments parted by spaces.
fn ip(arguments: &str) -> Result<String, String> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|e| format!("no command ip: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Whether this machine can have networks; else why not.
pub(crate) fn available() -> Result<(), String> {
    if ip("-V").is_err() {
        let install = "apt-get update && apt-get install -y --no-install-recommends iproute2";
        let _ = Command::new("sh").args(["-c", install]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    Network::new(&["probe"]).map(drop)
}

/// A network, or `None` and a loud line where this machine cannot have one.
pub(crate) fn network(hosts: &[&str]) -> Option<Network> {
    if let Err(why) = available() {
        skip("LAKECAST_REQUIRE_TOOLS", &format!("no network namespaces: {why}"));
        return None;
    }
    Some(Network::new(hosts).unwrap())
}

impl Network {
    /// Errors: not root, no `ip`, no room.
    pub(crate) fn new(hosts: &[&str]) -> Result<Self, String> {
        remove_orphans();
        let number = claim()?;
        let mut network = Self { number, hosts: vec![] };
        for host in hosts {
            network.hosts.push((*host).into());
            network.plug_in(host)?;
        }
        Ok(network)
    }

    fn plug_in(&self, host: &str) -> Result<(), String> {
        let (n, address, name) = (self.number, self.address(host), self.namespace(host));
        let port = format!("lc77-{n}.{}", address.octets()[3]);
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {port} type veth peer name eth0 netns {name}"))?;
        ip(&format!("link set {port} master lc77-{n} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} address add {address}/24 dev eth0")).map(drop)
    }

    /// 10.77.N.1 for [`OUTSIDE`].
    pub(crate) fn address(&self, host: &str) -> Ipv4Addr {
        let last = match self.hosts.iter().position(|h| h == host) {
            Some(i) => i + 2,
            None if host == OUTSIDE => 1,
            None => panic!("no host {host:?} in {:?}", self.hosts),
        };
        Ipv4Addr::new(10, 77, self.number, u8::try_from(last).unwrap())
    }

    fn namespace(&self, host: &str) -> String {
        format!("lc77-{}-{host}", self.number)
    }

    /// The command as it is (program, arguments, environment, folder), run on a host. Its standard streams are the caller's
    /// to set. The process started is the command itself, so a kill of the child hits it.
    pub(crate) fn inside(&self, host: &str, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.namespace(host)]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(key, value),
                None => inside.env_remove(key),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir);
        }
        inside
    }

    /// Packets between two hosts vanish, both ways: connections hang, old and new, and nobody is told.
    pub(crate) fn cut(&self, a: &str, b: &str) {
        // The neighbour gets an Ethernet address that nobody has. It needs neither a firewall nor a kernel module, and unlike a
        // blackhole route it does not fail `connect` at once.
        self.both_ways(a, b, |at, address| {
            format!("neighbour replace {address} lladdr 02:00:00:00:00:00 nud permanent {at}")
        });
    }

    /// The end of a cut.
    pub(crate) fn heal(&self, a: &str, b: &str) {
        self.both_ways(a, b, |at, address| format!("neighbour delete {address} {at}"));
    }

    /// Whether a program on a host can connect to `address` within half a second.
    pub(crate) fn reaches(&self, host: &str, address: SocketAddr) -> bool {
        let mut connect = Command::new("timeout");
        connect.args(["0.5", "bash", "-c", &format!("exec 3<>/dev/tcp/{}/{}", address.ip(), address.port())]);
        self.inside(host, &connect).stderr(Stdio::null()).status().unwrap().success()
    }

    fn both_ways(&self, a: &str, b: &str, what: impl Fn(&str, Ipv4Addr) -> String) {
        for (here, there) in [(a, b), (b, a)] {
            let there = self.address(there);
            ip(&match here {
                OUTSIDE => what(&format!("dev lc77-{}", self.number), there),
                _ => format!("-n {} {}", self.namespace(here), what("dev eth0", there)),
            })
            .unwrap();
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(self.number);
    }
}

/// Takes a number by making the bridge of that name, which only one process can.
fn claim() -> Result<u8, String> {
    let mut last = String::new();
    for number in 0..=255 {
        match ip(&format!("link add lc77-{number} type bridge")) {
            Ok(_) => {
                remove_ports(number);
                let ready = ip(&format!("link set lc77-{number} alias {} up", std::process::id()))
                    .and_then(|_| ip(&format!("address add 10.77.{number}.1/24 dev lc77-{number}")));
                return ready.map(|_| number).inspect_err(|_| remove(number));
            }
            Err(taken) if taken.contains("File exists") => last = taken,
            Err(other) => return Err(other),
        }
    }
    Err(last)
}

/// Networks whose process is gone without a Drop.
fn remove_orphans() {
    for number in 0..=255_u8 {
        let owner = std::fs::read_to_string(format!("/sys/class/net/lc77-{number}/ifalias")).unwrap_or_default();
        let owner = owner.trim();
        // A process that has ended but is not waited for has no program any more.
        if !owner.is_empty() && std::fs::read_link(format!("/proc/{owner}/exe")).is_err() {
            remove(number);
        }
    }
}

/// A port goes with its namespace, though only when the last of its connections did: so it is removed by name.
fn remove_ports(number: u8) {
    let ports = || {
        let links = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        let names = links.map(|link| link.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(&format!("lc77-{number}."))).collect::<Vec<_>>()
    };
    let started = Instant::now();
    while !ports().is_empty() && started.elapsed() < Duration::from_secs(5) {
        for port in ports() {
            let _ = ip(&format!("link delete {port}"));
        }
    }
}

/// Processes, namespaces, ports, bridge.
fn remove(number: u8) {
    let prefix = format!("lc77-{number}-");
    for line in ip("netns list").unwrap_or_default().lines() {
        let Some(name) = line.split(' ').next().filter(|name| name.starts_with(&prefix)) else { continue };
        let inside = ip(&format!("netns pids {name}")).unwrap_or_default();
        if !inside.trim().is_empty() {
            let _ = Command::new("kill").arg("-9").args(inside.split_whitespace()).stderr(Stdio::null()).status();
        }
        let _ = ip(&format!("netns delete {name}"));
    }
    remove_ports(number);
    let _ = ip(&format!("link delete lc77-{number}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault_proxy::{FaultProxy, Faults};
    use crate::s3::{Lakes, Server, server};
    use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::process::Child;

    /// Connects within a second, then answers every line of standard input with what the other side says within a second.
    const CLIENT: &str = "
import socket, sys
print('up', flush=True)
for line in sys.stdin:
    try:
        with socket.create_connection((sys.argv[1], 7000), timeout=1) as s:
            s.sendall(line.encode())
            print(s.recv(100).decode().strip(), flush=True)
    except OSError as e:
        print(type(e).__name__, flush=True)
";
    const SERVER: &str = "
import socket
s = socket.create_server(('', 7000))
print('up', flush=True)
while True:
    c = s.accept()[0]
    c.sendall(c.recv(100).upper())
    c.close()
";

    struct Peer(Child, BufReader<std::process::ChildStdout>);

    impl Peer {
        fn start(network: &Network, host: &str, program: &str, argument: &str) -> Self {
            let mut python = Command::new("python3");
            python.args(["-c", program, argument]);
            let mut command = network.inside(host, &python);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            let mut peer = Self(child, out);
            assert_eq!(peer.line(), "up");
            peer
        }

        fn line(&mut self) -> String {
            let mut line = String::new();
            self.1.read_line(&mut line).unwrap();
            line.trim().into()
        }

        fn say(&mut self, text: &str) -> String {
            writeln!(self.0.stdin.as_ref().unwrap(), "{text}").unwrap();
            self.line()
        }
    }

    #[test]
    fn a_cut_hangs_the_two_hosts_alone_and_heals() {
        let Some(network) = network(&["a", "b", "c"]) else { return };
        let address = network.address("b").to_string();
        let _server = Peer::start(&network, "b", SERVER, "");
        let mut a = Peer::start(&network, "a", CLIENT, &address);
        let mut c = Peer::start(&network, "c", CLIENT, &address);
        for _ in 0..3 {
            assert_eq!((a.say("one"), c.say("two")), ("ONE".into(), "TWO".into()));
            network.cut("a", "b");
            assert_eq!((a.say("three"), c.say("four")), ("TimeoutError".into(), "FOUR".into()));
            network.heal("b", "a");
        }
        assert_eq!(a.say("five"), "FIVE");
    }

    #[test]
    fn a_cut_hangs_an_open_connection_to_the_outside_and_heals() {
        let Some(network) = network(&["a"]) else { return };
        let listener = TcpListener::bind((network.address(OUTSIDE), 7001)).unwrap();
        let mut python = Command::new("python3");
        let echo =
            "import socket, sys; s = socket.create_connection((sys.argv[1], 7001))\nwhile True: s.sendall(s.recv(100))";
        python.args(["-c", echo, &network.address(OUTSIDE).to_string()]);
        let mut child = network.inside("a", &python).spawn().unwrap();
        let mut stream = listener.accept().unwrap().0;
        let said = |stream: &mut TcpStream, seconds| {
            stream.set_read_timeout(Some(Duration::from_secs(seconds))).unwrap();
            stream.read(&mut [0]).map_err(|e| e.kind())
        };
        stream.write_all(b"1").unwrap();
        assert_eq!(said(&mut stream, 20), Ok(1));
        network.cut(OUTSIDE, "a");
        stream.write_all(b"2").unwrap();
        assert_eq!(said(&mut stream, 1), Err(ErrorKind::WouldBlock));
        network.heal(OUTSIDE, "a");
        assert_eq!(said(&mut stream, 20), Ok(1), "TCP sends again what was lost");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_network_goes_with_its_processes_even_in_a_panic() {
        let Some(network) = network(&["a"]) else { return };
        let number = network.number;
        let mut sleep = Command::new("sleep");
        let mut child = network.inside("a", sleep.arg("1000")).spawn().unwrap();
        let panicked = std::thread::spawn(move || {
            let _moved = network;
            std::panic::resume_unwind(Box::new("a test fails"));
        });
        assert!(panicked.join().is_err());
        assert!(!child.wait().unwrap().success());
        let left = ip("-o link").unwrap() + &ip("netns list").unwrap();
        let own = |c: char| format!("lc77-{number}{c}");
        // Another test may have taken the number since: then at least the namespace's process is gone, as seen above.
        let retaken = std::fs::read_to_string(format!("/sys/class/net/lc77-{number}/ifalias")).is_ok();
        assert!(retaken || !left.contains(&own('-')) && !left.contains(&own('.')), "{left}");
    }

    #[test]
    fn a_night_on_another_host_waits_for_its_cut_bucket() {
        let (Some(network), Some(server)) = (network(&["worker"]), server()) else { return };
        let listen = SocketAddr::from((network.address(OUTSIDE), 0));
        let slow = Faults { stall: 1.0, stall_for: Duration::from_millis(50), ..Faults::default() };
        let proxy = FaultProxy::between(listen, server.address(), slow, 0);
        let lakes = Lakes::new(server, "worker");
        let night = lakes.run_at(&Server::at(proxy.address()), &lakes.remote(""));
        let mut child = network.inside("worker", &night).stdout(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while proxy.fired().requests < 50 {
            assert!(started.elapsed() < Duration::from_secs(60), "{:?}", proxy.fired());
            std::thread::sleep(Duration::from_millis(5));
        }
        network.cut("worker", OUTSIDE);
        std::thread::sleep(Duration::from_secs(3));
        assert!(child.try_wait().unwrap().is_none(), "it neither ends nor fails");
        network.heal("worker", OUTSIDE);
        assert!(child.wait().unwrap().success());
        assert_eq!(lakes.remote_digests(), lakes.local_digests());
    }
}
