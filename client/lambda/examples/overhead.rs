//! What an invocation of the local Lambda costs, when the function does nothing: `overhead [INVOCATIONS] [CONCURRENT]`.
//!
//! The caller keeps its connections and does little else, so that nearly all of it is the local Lambda's, the runtime's in
//! the function, and the system's. `frozen` waits before each invocation until the process has been frozen, `straight` does
//! not wait, and `burst` has as many callers as are asked for, each with one invocation after the other.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use greenroom_lambda::{Config, FunctionConfig, LocalLambda, LogSink};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::net::TcpStream;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        let echo = async |event: LambdaEvent<Value>| Ok::<_, lambda_runtime::Error>(event.payload);
        return runtime.block_on(lambda_runtime::run(service_fn(echo)));
    }
    runtime.block_on(measure())
}

async fn measure() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let n = words.next().map_or(Ok(2_000), |word| word.parse())?;
    let n_callers = words.next().map_or(Ok(64), |word| word.parse())?;
    let function = FunctionConfig::new("nothing", std::env::current_exe()?);
    let lambda =
        LocalLambda::start(Config { log: LogSink::discard(), ..Config::default() }.with_function(function)).await?;
    let address = lambda.address();

    let mut caller = Caller::connect(address).await?;
    let begun = Instant::now();
    caller.invoke().await?;
    println!("cold     {:>8} µs", begun.elapsed().as_micros());
    for _ in 0..200 {
        caller.invoke().await?;
    }

    let mut straight = Histogram::<u64>::new(3)?;
    for _ in 0..n {
        straight.record(caller.timed().await?)?;
    }
    report("straight", &straight);

    let pid = lambda.pids()[0];
    let mut frozen = Histogram::<u64>::new(3)?;
    for _ in 0..n {
        until_frozen(pid).await;
        frozen.record(caller.timed().await?)?;
    }
    report("frozen", &frozen);

    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..n_callers {
        callers.spawn(async move {
            let mut caller = Caller::connect(address).await?;
            caller.invoke().await?;
            Ok::<_, Failure>(caller)
        });
    }
    let callers = callers.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for mut caller in callers {
        tasks.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..n / n_callers {
                times.push(caller.timed().await?);
            }
            Ok::<_, Failure>(times)
        });
    }
    let mut burst = Histogram::<u64>::new(3)?;
    for times in tasks.join_all().await {
        times?.into_iter().try_for_each(|time| burst.record(time))?;
    }
    let per_second = burst.len() as f64 / begun.elapsed().as_secs_f64();
    report("burst", &burst);
    println!("         {n_callers} callers, {} processes, {per_second:.0} invocations/s", lambda.pids().len());
    lambda.stop().await;
    Ok(())
}

/// A caller with a connection of its own.
struct Caller {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Caller {
    async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    async fn invoke(&mut self) -> Result<(), Failure> {
        let request = Request::post("/2015-03-31/functions/nothing/invocations").header(HOST, self.address.to_string());
        let response = self.sender.send_request(request.body(Full::new(Bytes::from_static(b"1")))?).await?;
        let answered = response.status().is_success() && !response.headers().contains_key("x-amz-function-error");
        let payload = response.into_body().collect().await?.to_bytes();
        if answered && payload == "1" { Ok(()) } else { Err(format!("failed: {payload:?}").into()) }
    }

    /// Invokes once, and says how long it took in nanoseconds.
    async fn timed(&mut self) -> Result<u64, Failure> {
        let begun = Instant::now();
        self.invoke().await?;
        Ok(u64::try_from(begun.elapsed().as_nanos())?)
    }
}

async fn until_frozen(pid: u32) {
    let is_frozen = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    };
    while !is_frozen() {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

fn report(what: &str, times: &Histogram<u64>) {
    let micros = |quantile| times.value_at_quantile(quantile) / 1_000;
    println!(
        "{what:8} {:>8} µs p50, {:>6} µs p99, {:>6} µs max, {} invocations",
        micros(0.5),
        micros(0.99),
        micros(1.0),
        times.len()
    );
}
