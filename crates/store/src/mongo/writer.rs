//! Writes BSON into one buffer: a command with its thousand documents is built without a copy or a tree of values.

use mongodb::bson::RawDocumentBuf;

const DOUBLE: u8 = 0x01;
const TEXT: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BINARY: u8 = 0x05;
const BOOLEAN: u8 = 0x08;
const NULL: u8 = 0x0A;
const LONG: u8 = 0x12;

/// A document that is being written, with the documents and arrays inside it that are open. A field's name must hold no
/// zero byte; the names here are fixed or have been checked.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
}

/// Where an open document or array begins; to be given back to [`Writer::close`].
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(super) struct Open(usize);

impl Writer {
    /// An empty document.
    pub(super) fn new() -> Self {
        Self { out: vec![0; 4] }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Makes room for this many more bytes.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Forgets what was written behind the first `len` bytes, between two elements of what is open.
    pub(super) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    fn element(&mut self, tag: u8, name: &str) {
        self.out.push(tag);
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
    }

    fn length(&mut self, length: usize) {
        self.out.extend_from_slice(&(length as u32).to_le_bytes());
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.element(TEXT, name);
        self.length(text.len() + 1);
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(0);
    }

    pub(super) fn long(&mut self, name: &str, value: i64) {
        self.element(LONG, name);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A number of 64 bits without a sign. Those past 63 bits come back as they were, but count as negative.
    pub(super) fn unsigned(&mut self, name: &str, value: u64) {
        self.long(name, value as i64);
    }

    pub(super) fn double(&mut self, name: &str, value: f64) {
        self.element(DOUBLE, name);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn boolean(&mut self, name: &str, value: bool) {
        self.element(BOOLEAN, name);
        self.out.push(u8::from(value));
    }

    pub(super) fn null(&mut self, name: &str) {
        self.element(NULL, name);
    }

    pub(super) fn binary(&mut self, name: &str, bytes: &[u8]) {
        self.element(BINARY, name);
        self.length(bytes.len());
        self.out.push(0);
        self.out.extend_from_slice(bytes);
    }

    /// Bytes that are mostly text: as text where they are UTF-8, else as binary, so that either reads well.
    pub(super) fn text_or_binary(&mut self, name: &str, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(name, text),
            Err(_) => self.binary(name, bytes),
        }
    }

    /// A whole document that is at hand.
    pub(super) fn raw(&mut self, name: &str, document: &[u8]) {
        self.element(DOCUMENT, name);
        self.out.extend_from_slice(document);
    }

    /// All fields of a whole document that is at hand.
    pub(super) fn fields(&mut self, document: &[u8]) {
        let end = document.len().saturating_sub(1);
        self.out.extend_from_slice(document.get(4..end).unwrap_or_default());
    }

    pub(super) fn open_document(&mut self, name: &str) -> Open {
        self.open(DOCUMENT, name)
    }

    pub(super) fn open_array(&mut self, name: &str) -> Open {
        self.open(ARRAY, name)
    }

    fn open(&mut self, tag: u8, name: &str) -> Open {
        self.element(tag, name);
        let start = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        Open(start)
    }

    /// Ends what was opened last, and returns its bytes.
    pub(super) fn close(&mut self, Open(start): Open) -> usize {
        self.out.push(0);
        let length = self.out.len() - start;
        if let Some(slot) = self.out.get_mut(start..start + 4) {
            slot.copy_from_slice(&(length as u32).to_le_bytes());
        }
        length
    }

    /// A document of one field, such as `{$lt: 5}`.
    pub(super) fn only(&mut self, name: &str, put: impl FnOnce(&mut Self)) {
        let open = self.open_document(name);
        put(self);
        self.close(open);
    }

    /// The document.
    ///
    /// # Errors
    /// Where it is longer than a document's length can say.
    pub(super) fn finish(mut self) -> mongodb::bson::error::Result<RawDocumentBuf> {
        self.close(Open(0));
        RawDocumentBuf::from_bytes(self.out)
    }
}

/// The name of an array's element: its number in decimal digits.
#[derive(Debug)]
pub(super) struct Index([u8; 20]);

impl Index {
    pub(super) fn new() -> Self {
        Self([0; 20])
    }

    pub(super) fn name(&mut self, mut number: usize) -> &str {
        let mut at = self.0.len();
        loop {
            at -= 1;
            self.0[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        // Digits are ASCII.
        std::str::from_utf8(&self.0[at..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};

    use super::*;

    #[test]
    fn what_is_written_is_read_by_others() {
        let mut w = Writer::new();
        w.text("_id", "k\0ü");
        w.long("long", i64::MIN);
        w.double("double", -0.0);
        w.boolean("yes", true);
        w.null("nothing");
        w.binary("bytes", b"\0\xff");
        w.text_or_binary("words", "wörds".as_bytes());
        w.text_or_binary("noise", b"\xff");
        let array = w.open_array("array");
        let mut index = Index::new();
        for n in 0..12 {
            let item = w.open_document(index.name(n));
            w.long("n", n as i64);
            assert_eq!(w.close(item), 4 + 1 + 2 + 8 + 1);
        }
        w.close(array);
        let before = w.len();
        w.text("forgotten", "x");
        w.truncate(before);
        w.only("only", |w| w.long("$lt", 1));
        let read = Document::try_from(&*w.finish().unwrap()).unwrap();
        let binary = |bytes: &[u8]| Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() });
        let items: Vec<Bson> = (0..12_i64).map(|n| doc! { "n": n }.into()).collect();
        let expected = doc! {
            "_id": "k\0ü", "long": i64::MIN, "double": -0.0, "yes": true, "nothing": Bson::Null,
            "bytes": binary(b"\0\xff"),
            "words": "wörds", "noise": binary(b"\xff"), "array": items, "only": { "$lt": 1_i64 },
        };
        assert_eq!(read, expected);
        assert!(read.get_f64("double").unwrap().is_sign_negative());
    }

    #[test]
    fn elements_are_named_by_their_numbers() {
        let mut index = Index::new();
        for n in [0, 9, 10, 999, 1000, usize::MAX] {
            assert_eq!(index.name(n), n.to_string());
        }
    }
}
