//! A MongoDB server whose writes take their time: what `benches/cluster.py` holds workers against. Every `insert`, `update`,
//! `delete`, `findAndModify` and `bulkWrite` is answered so much later; everything else at once.
//!
//! ```text
//! slow_store URI MILLISECONDS     prints the URI to use instead; ends with its standard input
//! ```

use std::time::Duration;

use ensemble_testkit::mongo_proxy::{Fault, FaultKind, MongoProxy, Rule, When};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [uri, milliseconds] = arguments.as_slice() else {
        return Err("usage: slow_store URI MILLISECONDS".into());
    };
    let delay = Duration::from_millis(milliseconds.parse()?);
    let proxy = MongoProxy::start_for(uri).await?;
    proxy.add(Rule::new(When::write(), Fault::DelayReply(delay)));
    println!("{}", proxy.uri());
    // Whoever started this has ended, or closed it.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    // So that whoever measures sees that the writes have been slow.
    println!("{}", proxy.fired_of(FaultKind::DelayReply));
    Ok(())
}
