//! Values whose drop blocks.

/// Holds a client. When it is dropped on a runtime, the client, which waits for its threads, is dropped on a thread that
/// may wait.
pub(super) struct Parting<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Parting<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> std::ops::Deref for Parting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(client) => client,
            None => unreachable!("the client is there until it is dropped"),
        }
    }
}

impl<T: Send + 'static> Drop for Parting<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(client))),
            Err(_) => drop(client),
        }
    }
}
