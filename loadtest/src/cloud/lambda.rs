//! Threads that are processes of a local Lambda: what an empty one costs, and what of that is ours.

use std::time::{Duration, Instant};

use anyhow::ensure;
use greenroom::cloud::{Backend, Builder, Lambda};
use greenroom::sync::Latch;
use greenroom::{Client, cloud};
use greenroom_aws::{Delivery, Invoker, InvokerSettings};
use greenroom_lambda::{Config, FunctionConfig, LocalLambda, LogSink};

use super::{Options, empty, versus, wait_for_all};
use crate::report::{Figure, Goal, Section};

const NAME: &str = "loadtest";
/// How many run at once.
const AT_ONCE: u32 = 64;

/// What a bare invocation runs: nothing, and no call.
#[cloud(event)]
fn nothing(_: serde_json::Value) {}

/// A local Lambda whose function is this program.
pub(super) struct Stage {
    lambda: LocalLambda,
    runtime: tokio::runtime::Runtime,
    pub(super) backend: Backend,
}

impl Stage {
    pub(super) fn start(client: &Client) -> anyhow::Result<Self> {
        let mut function = FunctionConfig::new(NAME, std::env::current_exe()?);
        (function.memory_mb, function.timeout) = (1_024, Duration::from_secs(60));
        function.environment = vec![("GREENROOM_CLUSTER".to_owned(), client.addresses().join(","))];
        let config = Config { log: LogSink::discard(), ..Config::default() }.with_function(function);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let lambda = runtime.block_on(LocalLambda::start(config))?;
        let backend = Lambda::function(NAME).endpoint(format!("http://{}", lambda.address())).region("local").backend();
        Ok(Self { lambda, runtime, backend })
    }

    pub(super) fn stop(self) {
        self.runtime.block_on(self.lambda.stop());
    }

    pub(super) fn section(&self, options: &Options) -> anyhow::Result<Section> {
        Ok(Section { name: "back end `lambda`, on a local Lambda".to_owned(), figures: self.figures(options)? })
    }

    fn figures(&self, options: &Options) -> anyhow::Result<Vec<Figure>> {
        let settings = InvokerSettings {
            endpoint: Some(format!("http://{}", self.lambda.address())),
            region: Some("local".to_owned()),
            no_credentials: true,
        };
        let invoker = self.runtime.block_on(Invoker::new(&settings));
        let n = options.invocations;
        let (ours, bare) = versus(
            options,
            || (0..n).try_for_each(|_| Ok(Builder::new().backend(self.backend.clone()).spawn(empty::call()).join()?)),
            || {
                for _ in 0..n {
                    let invoked = invoker.invoke(NAME, "{}".to_owned(), Delivery::Synchronous);
                    let invoked = self.runtime.block_on(invoked)?;
                    ensure!(invoked.function_error.is_none(), "{}", invoked.payload);
                }
                Ok(())
            },
        )?;
        let each_ms = |seconds: f64| seconds / f64::from(n) * 1e3;
        let (ours, bare) = (each_ms(ours), each_ms(bare));
        let name = "an empty thread, warm; beside it a bare invocation by the SDK";
        Ok(vec![
            Figure::ratio(name, ours, bare, ours / bare, "ms", Goal::None),
            Figure::alone("of that ours", ours - bare, "ms", Goal::AtMost(2.0)),
            self.at_once()?,
        ])
    }

    fn at_once(&self) -> anyhow::Result<Figure> {
        let there = Latch::named("loadtest/processes", u64::from(AT_ONCE));
        let all = Latch::named("loadtest/all processes", 1);
        let began = Instant::now();
        let settings = Builder::new().backend(self.backend.clone());
        let threads: Vec<_> =
            (0..AT_ONCE).map(|_| settings.clone().spawn(wait_for_all::call(there.clone(), all.clone()))).collect();
        there.wait()?;
        all.count_down()?;
        for thread in threads {
            thread.join()?;
        }
        let name = format!("{AT_ONCE} at once, most of them cold, from first to last");
        Ok(Figure::alone(name, began.elapsed().as_secs_f64(), "s", Goal::None))
    }
}
