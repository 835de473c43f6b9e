//! Submissions that are sent again because the supervisor died before it answered.

use std::{collections::BTreeSet, sync::Arc};

use ensemble_store::{DocumentKind, MongoOptions, MongoStore, Store};
use ensemble_testkit::mongo_proxy::{Fault, MongoProxy, Rule, ServerError, When};
use tokio::{runtime::Handle, task::block_in_place};

use super::{Cluster, Worker, http};
use crate::{
    places::{assert_same_answer, with_database},
    processes::{Supervisor, free_ports},
    support::{Running, poll},
};

/// What the store holds of a submission.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stored {
    request: bool,
    jobs: usize,
}

/// The store, past the proxy.
struct Documents(Arc<MongoStore>);

impl Documents {
    fn of(&self, request: &str) -> Stored {
        let documents = async {
            let request = self.0.document(DocumentKind::Request, request).await.unwrap();
            let jobs = self.0.scan_documents(DocumentKind::Job, None, usize::MAX).await.unwrap();
            Stored { request: request.is_some(), jobs: jobs.len() }
        };
        Handle::current().block_on(documents)
    }
}

/// The supervisor is killed while a write of the submission does not succeed: so no answer can have been given. The
/// client sends it again by itself, and the same command is given again during the fail-over and after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_that_a_fail_over_cuts_off_is_one_job_however_often_it_is_sent() {
    let refused = Fault::AnswerInstead(ServerError::ExceededTimeLimit);
    let unanswered = Fault::AnswerAfter(ServerError::ExceededTimeLimit);
    // The write that does not succeed, and what is there when the supervisor dies: its request, and its job.
    let moments = [
        (When::command("insert").on("ensemble_requests"), &refused, false, false),
        (When::command("insert").on("ensemble_requests"), &unanswered, true, false),
        (When::write().on("ensemble_counters"), &unanswered, true, false),
        (When::command("insert").on("ensemble_jobs"), &refused, true, false),
        (When::command("insert").on("ensemble_jobs"), &unanswered, true, true),
    ];
    let mut cluster = Cluster::new();
    let direct = with_database(cluster.servers.server_uri(), &cluster.servers.name);
    let proxy = MongoProxy::start_for(cluster.servers.server_uri()).await.unwrap();
    let through = cluster.servers.options_at(proxy.uri());
    cluster.options = cluster.options.replace(&cluster.servers.options(), &through);
    let documents = Documents(MongoStore::connect(MongoOptions::new(&direct)).await.unwrap());
    let files: Vec<String> = (0..moments.len()).map(|n| format!("part{n}.csv")).collect();
    block_in_place(|| {
        let (place, supervises) = (&cluster.place, format!("{} {}", cluster.options, super::SUPERVISES));
        // Clients have to know where the next supervisor will be: at the ports of the one before.
        let first = cluster.supervisor();
        let mut in_office = Supervisor::start_waiting(place, &supervises, &free_ports());
        let mut free = first.addresses.clone();
        assert_eq!(first.terminate(), Some(0));
        in_office.takes_office();

        let mut jobs = BTreeSet::new();
        for (n, ((when, fault, request, job), file)) in moments.into_iter().zip(&files).enumerate() {
            place.generate(file, &format!("--rows 400 --duplicates 0.1 --bad 0.02 --seed {n}"));
            let mut next = Supervisor::start_waiting(place, &supervises, &free);
            let servers = format!("{},{}", http(&in_office.addresses[0]), http(&free[0]));
            let submit = format!("submit csv {file} --request-id it.{n} --output json --server {servers}");
            let fired = proxy.fired_of(fault.kind());
            proxy.add(Rule::new(when, fault.clone()));
            let mut cut_off = Running::spawn(place.command(&submit));
            poll("the write does not succeed", || proxy.fired_of(fault.kind()) > fired);
            let stored = Stored { request, jobs: n + usize::from(job) };
            poll("the store has what it is to have", || documents.of(&format!("it.{n}")) == stored);
            assert!(cut_off.is_running(), "it was answered before the supervisor could be killed");
            free = in_office.kill();
            proxy.clear();
            let mut meanwhile = Running::spawn(place.command(&submit));
            next.takes_office();
            in_office = next;

            let runs = [cut_off.wait_for_end(), meanwhile.wait_for_end(), place.run(&submit)];
            for run in &runs {
                assert_eq!(run.code, Some(0), "{submit}: {}{}", run.out, run.err);
                assert_eq!(run.json()["job"], runs[0].json()["job"], "{submit}");
            }
            assert_eq!(documents.of(&format!("it.{n}")), Stored { request: true, jobs: n + 1 });
            assert!(jobs.insert(runs[0].json()["job"].as_str().unwrap().to_owned()), "another request's job");
        }
        let _worker = Worker::start(&cluster, "a", &http(&in_office.addresses[1]));
        for job in &jobs {
            let watched = place.run(&format!("jobs watch {job} {}", in_office.option()));
            assert_eq!(watched.code, Some(0), "{}{}", watched.out, watched.err);
        }
        let listed = place.json(&format!("jobs {}", in_office.option()));
        assert_eq!(listed.as_array().unwrap().len(), jobs.len(), "{listed}");
        assert_same_answer(place, &cluster.servers.options(), &files.join(" "));
    });
}
