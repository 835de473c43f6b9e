//! Uploads that clients leave behind.

use std::time::Duration;

use ensemble_protocol::v1::{
    CsvFile, GetUploadRequest, SubmitJobRequest, UploadChunk, UploadEnd, UploadFileRequest, UploadStart,
    csv_file::Source, job_service_client::JobServiceClient, submit_job_request, upload_file_request::Message,
};
use tonic::{Code, transport::Channel};

use crate::{processes::Supervisor, support::Place};

async fn upload(client: &mut JobServiceClient<Channel>, name: &str, content: &[u8], whole: bool) {
    let mut messages = vec![Message::Start(UploadStart { upload_id: name.to_owned(), file_name: "in.csv".to_owned() })];
    for (number, data) in content.chunks(1 << 20).enumerate() {
        let (offset, crc32c) = ((number as u64) << 20, crc32c::crc32c(data));
        messages.push(Message::Chunk(UploadChunk { offset, data: data.to_vec().into(), crc32c }));
    }
    if whole {
        messages.push(Message::End(UploadEnd { length: content.len() as u64 }));
    }
    let messages = messages.into_iter().map(|message| UploadFileRequest { message: Some(message) });
    let mut answers = client.upload_file(tokio_stream::iter(messages)).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
}

async fn is_there(client: &mut JobServiceClient<Channel>, name: &str) -> bool {
    match client.get_upload(GetUploadRequest { upload_id: name.to_owned() }).await {
        Ok(_) => true,
        Err(status) if status.code() == Code::NotFound => false,
        Err(status) => panic!("{status}"),
    }
}

async fn goes(client: &mut JobServiceClient<Channel>, name: &str) {
    let gone = async {
        while is_there(client, name).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap_or_else(|_| panic!("{name} is still there"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_no_job_takes_are_deleted_after_a_while() {
    let place = Place::new();
    place.generate("in.csv", "--rows 20000 --seed 6");
    let content = std::fs::read(place.path("in.csv")).unwrap();
    assert!(content.len() > 2 << 20, "several pieces");
    let settings = place.write("settings.toml", "[supervisor]\nkeep_uploads_ms = 8000\n");
    let options = format!("--store served --config {}", settings.display());
    let supervisor = tokio::task::block_in_place(|| Supervisor::start(&place, &options));
    let address = format!("http://{}", supervisor.addresses[0]);
    let mut client = JobServiceClient::connect(address).await.unwrap();
    // A job that does not end keeps what it was given.
    upload(&mut client, "taken", &content, true).await;
    let taken = CsvFile { source: Some(Source::UploadId("taken".to_owned())) };
    let request = SubmitJobRequest {
        contract: Some(submit_job_request::Contract::ContractName("tracks".to_owned())),
        csv_files: vec![taken],
        shard_bytes: 1024,
        ..SubmitJobRequest::default()
    };
    let job = client.submit_job(request).await.unwrap().into_inner().job_id;
    let paused = tokio::task::block_in_place(|| place.json(&format!("jobs pause {job} {}", supervisor.option())));
    assert_eq!(paused["state"], "paused");
    upload(&mut client, "whole", &content, true).await;
    assert!(is_there(&mut client, "whole").await);
    upload(&mut client, "begun", &content, false).await;
    assert!(is_there(&mut client, "begun").await);
    goes(&mut client, "whole").await;
    goes(&mut client, "begun").await;
    assert!(is_there(&mut client, "taken").await);
    tokio::task::block_in_place(|| {
        let resumed = place.run(&format!("jobs resume {job} {}", supervisor.option()));
        assert_eq!(resumed.code, Some(0), "{}", resumed.err);
        let watched = place.run(&format!("jobs watch {job} {} --output json", supervisor.option()));
        assert_eq!(watched.code, Some(0), "{}{}", watched.out, watched.err);
    });
    // Its job has ended.
    goes(&mut client, "taken").await;
}
