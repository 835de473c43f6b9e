//! A server of objects that speaks as much of S3's protocol as reading takes, and fails on request.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::lock;

/// Whoever reads has to sign with this key.
const ACCESS_KEY: &str = "reader";
/// Every object was written then, so only its tag tells it from the one before.
const MODIFIED: (&str, &str) = ("Thu, 01 Jan 2026 00:00:00 GMT", "2026-01-01T00:00:00.000Z");
/// How many objects a page of a listing has.
const PAGE: usize = 3;

/// What becomes of a request for an object's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFault {
    /// It is answered with 503.
    Unavailable,
    /// It is answered with 403, as where credentials have run out.
    Forbidden,
    /// Its answer breaks off in the middle.
    Cut,
}

/// A server on a port of 127.0.0.1, with threads of its own; gone when it is dropped.
#[derive(Debug)]
pub struct ObjectServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Shared {
    /// By bucket and key.
    objects: Mutex<BTreeMap<(String, String), Bytes>>,
    faults: Mutex<Vec<ObjectFault>>,
    /// Nothing fails before so many requests for bytes were answered.
    healthy: AtomicU64,
    /// What is stored once so many requests for bytes were answered.
    later: Mutex<Option<(u64, String, String, Bytes)>>,
    fired: AtomicU64,
    reads: AtomicU64,
    looks: AtomicU64,
}

impl Shared {
    /// A request for bytes is answered.
    fn read(&self) {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some((_, bucket, key, bytes)) = lock(&self.later).take_if(|(after, ..)| *after <= reads) {
            lock(&self.objects).insert((bucket, key), bytes);
        }
    }
}

impl ObjectServer {
    /// Starts a server without objects.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let routes = Router::new()
            .route("/{bucket}", get(list))
            .route("/{bucket}/{*key}", get(object))
            .with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// What has to be in the environment of a process that reads from here.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_REGION", "eu-west-1".to_owned()),
        ]
    }

    /// Stores an object, in the place of the one before.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        lock(&self.shared.objects).insert((bucket.to_owned(), key.to_owned()), bytes.into());
    }

    /// Stores an object, in the place of the one before, once so many requests for bytes were answered.
    pub fn put_after(&self, reads: u64, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        let later = (reads, bucket.to_owned(), key.to_owned(), bytes.into());
        *lock(&self.shared.later) = Some(later);
    }

    /// The next so many requests for bytes fail so.
    pub fn fail_next(&self, times: usize, fault: ObjectFault) {
        lock(&self.shared.faults).extend(std::iter::repeat_n(fault, times));
    }

    /// The next so many requests for bytes fail so, once `reads` of them were answered.
    pub fn fail_after(&self, reads: u64, times: usize, fault: ObjectFault) {
        self.shared.healthy.store(reads, Ordering::Relaxed);
        self.fail_next(times, fault);
    }

    /// How many requests have failed on request.
    pub fn fired(&self) -> u64 {
        self.shared.fired.load(Ordering::Relaxed)
    }

    /// How often somebody has asked what an object is like.
    pub fn looks(&self) -> u64 {
        self.shared.looks.load(Ordering::Relaxed)
    }

    /// How many requests for bytes were answered.
    pub fn reads(&self) -> u64 {
        self.shared.reads.load(Ordering::Relaxed)
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

type Server = State<Arc<Shared>>;

async fn object(
    State(server): Server,
    Path((bucket, key)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if !is_signed(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    server.looks.fetch_add(u64::from(method == Method::HEAD), Ordering::Relaxed);
    let Some(bytes) = lock(&server.objects).get(&(bucket, key)).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = tag(&bytes);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_MATCH).is_some_and(|wanted| wanted != tag) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let about = [(header::ETAG, tag), (header::LAST_MODIFIED, MODIFIED.0.to_owned())];
    if method == Method::HEAD {
        return (about, [(header::CONTENT_LENGTH, bytes.len().to_string())]).into_response();
    }
    let (length, range) = (bytes.len(), text(header::RANGE).and_then(|range| parse(range, bytes.len())));
    let Some(range) = range else { return StatusCode::RANGE_NOT_SATISFIABLE.into_response() };
    let part = bytes.slice(range.clone());
    let is_healthy = server.reads.load(Ordering::Relaxed) < server.healthy.load(Ordering::Relaxed);
    let fault = if is_healthy { None } else { lock(&server.faults).pop() };
    server.fired.fetch_add(u64::from(fault.is_some()), Ordering::Relaxed);
    let body = match fault {
        Some(ObjectFault::Forbidden) => return StatusCode::FORBIDDEN.into_response(),
        Some(ObjectFault::Unavailable) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(ObjectFault::Cut) => {
            let half = part.slice(..part.len() / 2);
            Body::from_stream(futures::stream::iter([Ok(half), Err(io::Error::other("cut on request"))]))
        }
        None => Body::from(part.clone()),
    };
    if fault.is_none() {
        server.read();
    }
    let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
    let sizes = [(header::CONTENT_RANGE, place), (header::CONTENT_LENGTH, part.len().to_string())];
    (StatusCode::PARTIAL_CONTENT, about, sizes, body).into_response()
}

/// `bytes=A-B`, of something of this length.
fn parse(range: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first < length && first <= last).then(|| first..length.min(last + 1))
}

async fn list(
    State(server): Server,
    Path(bucket): Path<String>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if !is_signed(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let (prefix, after) = (asked.get("prefix"), asked.get("continuation-token"));
    let wanted = |key: &str| prefix.is_none_or(|p| key.starts_with(p)) && after.is_none_or(|a| key > a.as_str());
    let objects = lock(&server.objects);
    let mut found = objects.iter().filter(|((b, key), _)| *b == bucket && wanted(key));
    let mut page = String::new();
    let mut last = "";
    for ((_, key), bytes) in found.by_ref().take(PAGE) {
        let (key_text, tag, size) = (escape(key), escape(&tag(bytes)), bytes.len());
        page += &format!(
            "<Contents><Key>{key_text}</Key><LastModified>{}</LastModified><ETag>{tag}</ETag><Size>{size}</Size>\
             </Contents>",
            MODIFIED.1
        );
        last = key;
    }
    let more = found.next().is_some();
    let next =
        if more { format!("<NextContinuationToken>{}</NextContinuationToken>", escape(last)) } else { String::new() };
    format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{next}{page}</ListBucketResult>").into_response()
}

fn is_signed(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.starts_with(&format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")))
}

fn tag(bytes: &Bytes) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
