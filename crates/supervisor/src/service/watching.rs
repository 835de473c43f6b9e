//! Watching a job: from the state that it is in, change by change, to its end.

use std::time::Duration;

use ensemble_protocol::v1;
use ensemble_store::JobId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::{Answers, Desk, job};
use crate::JobState;

/// A watcher hears of a job at most this often.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// How often a job that nobody works on is looked at.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

impl Desk {
    pub(super) async fn watched(&self, id: &str) -> Result<Response<Answers<v1::Job>>, Status> {
        // Refused at once: whoever is not in office has no news, and a job that is not known never will have.
        self.term()?;
        let id = job::id(id)?;
        self.shown(id).await?;
        let desk = self.clone();
        // One state waits for the watcher at most; what comes next is the state as it is then.
        let (sender, states) = mpsc::channel(1);
        tokio::spawn(async move {
            let watched = desk.watch(id, &sender).await;
            if let Err(status) = watched {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(states))))
    }

    /// Sends a job's states until it has ended or nobody listens.
    async fn watch(&self, id: JobId, to: &mpsc::Sender<Result<v1::Job, Status>>) -> Result<(), Status> {
        let mut sent: Option<v1::Job> = None;
        loop {
            // Where the process is no longer in office, the watcher has to ask the one that is.
            self.term()?;
            let mut status = self.live(id).map(|live| live.status());
            // Changes from here on wake it.
            if let Some(status) = &mut status {
                status.mark_unchanged();
            }
            let job = self.shown(id).await?;
            let ended = JobState::try_from(job.state()).is_ok_and(JobState::is_terminal);
            if sent.as_ref() != Some(&job) {
                sent = Some(job.clone());
                if to.send(Ok(job)).await.is_err() {
                    return Ok(());
                }
            }
            if ended {
                return Ok(());
            }
            let changed = async {
                match &mut status {
                    Some(status) if !status.borrow().over => {
                        let _ = status.changed().await;
                        tokio::time::sleep(WATCH_INTERVAL).await;
                    }
                    _ => tokio::time::sleep(IDLE_INTERVAL).await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = to.closed() => return Ok(()),
                // Also where nothing changes: the office may.
                () = tokio::time::sleep(IDLE_INTERVAL) => {}
            }
        }
    }
}
