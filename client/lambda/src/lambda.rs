//! A local Lambda that runs: its thread, its address, its end.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::api::serve_invoke_api;
use crate::config::Config;
use crate::control::{Order, Running};
use crate::error::LambdaError;
use crate::service::Service;

/// A local Lambda that runs, on a thread of its own.
///
/// Dropping it kills all processes of its functions, and blocks until they are gone. Events that wait are lost with it.
#[derive(Debug)]
pub struct LocalLambda {
    address: SocketAddr,
    service: Arc<Service>,
    handle: Handle,
    end: Option<End>,
}

/// How the thread is ended.
#[derive(Debug)]
struct End {
    tell: oneshot::Sender<()>,
    /// Closed when all is over.
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl LocalLambda {
    /// Starts to serve. It needs no runtime of the caller's, and does not slow it down.
    ///
    /// # Errors
    ///
    /// A function's name or binary is not usable, or the address is taken.
    pub async fn start(config: Config) -> Result<Self, LambdaError> {
        let config = config.checked()?;
        let address = config.listen;
        let cannot_listen = |source| LambdaError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(cannot_listen)?;
        listener.set_nonblocking(true).map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LambdaError::Thread)?;
        let handle = runtime.handle().clone();
        let service = Arc::new(Service::new(config));
        if service.leash.is_missing() {
            service.say("no setpriv in PATH: processes may outlive the local lambda if it is killed");
        }
        let (tell, told) = oneshot::channel();
        let (tell_ready, ready) = oneshot::channel();
        let (tell_ended, ended) = oneshot::channel();
        let served = service.clone();
        // Processes are started on this thread, and the kernel kills them when it ends.
        let thread = std::thread::Builder::new().name("local-lambda".to_owned()).spawn(move || {
            runtime.block_on(serve(listener, served, tell_ready, told));
            drop(runtime);
            drop::<oneshot::Sender<()>>(tell_ended);
        });
        let thread = thread.map_err(LambdaError::Thread)?;
        match ready.await {
            Ok(Ok(())) => Ok(Self { address, service, handle, end: Some(End { tell, ended, thread }) }),
            Ok(Err(source)) => Err(LambdaError::Listen { address, source }),
            Err(_) => Err(LambdaError::Stopped),
        }
    }

    /// Where the Invoke API is served. An SDK's endpoint is `http://` and this.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The invocations that processes run now, by function and then by the age of the process.
    pub fn running(&self) -> Vec<Running> {
        self.service.running()
    }

    /// Waits until what runs is as the caller wants it, and returns it. Looks again whenever something begins or ends.
    pub async fn running_when(&self, mut so: impl FnMut(&[Running]) -> bool) -> Vec<Running> {
        let mut changes = self.service.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let running = self.running();
            if so(&running) {
                return running;
            }
            // The service, and so its sender, lives as long as this.
            let _ = changes.changed().await;
        }
    }

    /// The ids of all processes, idle ones too, by function and then by age.
    pub fn pids(&self) -> Vec<u32> {
        self.service.instances().iter().map(|instance| instance.pid()).collect()
    }

    /// Waits until that many processes are there, busy or idle.
    pub async fn pids_when(&self, mut so: impl FnMut(&[u32]) -> bool) -> Vec<u32> {
        let mut changes = self.service.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let pids = self.pids();
            if so(&pids) {
                return pids;
            }
            let _ = changes.changed().await;
        }
    }

    /// Freezes what runs: each delivery of the request of this id, or the process of this name. Says how many it were.
    ///
    /// Its time goes on: at its deadline it is killed, unless [`outlive_deadline`](Self::outlive_deadline) was called.
    ///
    /// # Errors
    ///
    /// Nothing runs it.
    pub async fn freeze(&self, of: &str) -> Result<usize, LambdaError> {
        self.order(Order::Freeze, of).await
    }

    /// Lets what was frozen in the middle go on. Says how many it were.
    ///
    /// # Errors
    ///
    /// Nothing of it is frozen.
    pub async fn thaw(&self, of: &str) -> Result<usize, LambdaError> {
        self.order(Order::Thaw, of).await
    }

    /// Sends `SIGKILL` to what runs; its caller sees `Runtime.ExitError`. Says how many it were.
    ///
    /// # Errors
    ///
    /// Nothing runs it.
    pub async fn kill(&self, of: &str) -> Result<usize, LambdaError> {
        self.order(Order::Kill, of).await
    }

    /// Leaves what runs now alive when its time is over: its caller is told all the same that it timed out, and it goes on,
    /// or stays frozen, until it answers. Says how many it were.
    ///
    /// # Errors
    ///
    /// Nothing runs it.
    pub async fn outlive_deadline(&self, of: &str) -> Result<usize, LambdaError> {
        self.order(Order::OutliveDeadline, of).await
    }

    /// Has the next invocation of the function delivered twice, under one request id and to two processes.
    ///
    /// # Errors
    ///
    /// There is no such function.
    pub fn duplicate_next(&self, function: &str) -> Result<(), LambdaError> {
        self.service.duplicate_next(function)
    }

    /// On the thread that serves: there no process can end between the look at it and the signal to it.
    async fn order(&self, order: Order, of: &str) -> Result<usize, LambdaError> {
        let (service, of) = (self.service.clone(), of.to_owned());
        let carried_out = self.handle.spawn(async move { service.order(order, &of) }).await;
        carried_out.unwrap_or(Err(LambdaError::Stopped))
    }

    /// Kills all processes of its functions, frozen ones too, and returns when they are gone.
    pub async fn stop(mut self) {
        let Some(end) = self.end.take() else { return };
        let _ = end.tell.send(());
        let _ = end.ended.await;
        let _ = end.thread.join();
    }
}

impl Drop for LocalLambda {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.tell.send(());
            let _ = end.thread.join();
        }
    }
}

/// Serves until told to end, and then kills all processes and waits for them.
async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    tell_ready: oneshot::Sender<std::io::Result<()>>,
    told: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = tell_ready.send(Err(error));
            return;
        }
    };
    for pool in service.pools.values() {
        let (pool, idle_timeout) = (pool.clone(), service.config.idle_timeout);
        tokio::spawn(async move { pool.end_idle(idle_timeout).await });
    }
    let _ = tell_ready.send(Ok(()));
    tokio::select! {
        () = serve_invoke_api(listener, service.clone()) => {}
        // Dropped without a word: told to end as well.
        _ = told => {}
    }
    service.is_stopping.store(true, Ordering::Relaxed);
    let mut changes = service.changed.subscribe();
    loop {
        changes.mark_unchanged();
        let instances = service.instances();
        if instances.is_empty() {
            return;
        }
        instances.iter().for_each(|instance| instance.kill());
        let _ = changes.changed().await;
    }
}
