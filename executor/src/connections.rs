//! Connections to other executors, kept while they are of use. In: an executor's address. Out: a client for its shuffle
//! files. Ballista's own pool is private to its crate; without one every fetch opens a connection of its own.

use async_trait::async_trait;
use ballista_core::client::BallistaClient;
use ballista_core::client_pool::{BallistaClientPool, PooledClient};
use ballista_core::error::Result;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::utils::GrpcClientConfig;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

type Kept = HashMap<(String, u16, GrpcClientConfig), Vec<(BallistaClient, Instant)>>;

/// Idle connections by address.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<Kept>>);

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl Connections {
    fn with<T>(&self, use_it: impl FnOnce(&mut Kept) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn drop_idle(&self) {
        self.with(|kept| {
            kept.values_mut().for_each(|clients| clients.retain(|(_, since)| since.elapsed() < IDLE));
            kept.retain(|_, clients| !clients.is_empty());
        });
    }
}

#[async_trait]
impl BallistaClientPool for Connections {
    async fn acquire(
        &self,
        host: &str,
        port: u16,
        config: &GrpcClientConfig,
        customize_endpoint: Option<Arc<BallistaConfigGrpcEndpoint>>,
    ) -> Result<PooledClient> {
        self.drop_idle();
        let key = (host.to_string(), port, config.clone());
        let idle = self.with(|kept| kept.get_mut(&key).and_then(Vec::pop));
        let client = match idle {
            Some((client, _)) => client,
            None => {
                BallistaClient::try_new(
                    host,
                    port,
                    config.max_message_size,
                    config.use_tls,
                    customize_endpoint,
                    config.io_retries_times,
                    config.io_retry_wait_time_ms,
                    config.initial_connection_window_size,
                    config.initial_stream_window_size,
                )
                .await?
            }
        };
        let pool = self.clone();
        let give_back = move |client| pool.with(|kept| kept.entry(key).or_default().push((client, Instant::now())));
        Ok(PooledClient::new(client, Box::new(give_back)))
    }

    async fn evict_idle(&self) {
        self.drop_idle();
    }
}
