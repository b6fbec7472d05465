//! Records of a bundle as bytes, one after another.

use agentgen_trace::sink::jsonl;

/// The records of some bundles.
#[derive(Default)]
pub(crate) struct Records {
    pub bytes: Vec<u8>,
    /// End of each record, and the time by which it is sorted, in ms.
    pub ends: Vec<(usize, f64)>,
    number: itoa::Buffer,
    ids: Vec<i64>,
}

impl Records {
    /// Ends a record.
    pub(crate) fn end(&mut self, time_ms: f64) {
        self.ends.push((self.bytes.len(), time_ms));
    }

    /// Makes elements of an array of records that are lines: a comma between them. `is_first`: none comes before them.
    pub(crate) fn separate(&mut self, is_first: bool) {
        let mut array = Vec::with_capacity(self.bytes.len() + self.ends.len());
        let mut start = 0;
        for (number, (end, _)) in self.ends.iter_mut().enumerate() {
            if number > 0 || !is_first {
                array.extend_from_slice(b",\n");
            }
            array.extend_from_slice(self.bytes[start..*end].trim_ascii_end());
            start = std::mem::replace(end, array.len());
        }
        self.bytes = array;
    }

    /// Appends text that is JSON already.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a JSON string.
    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        jsonl::string(text, &mut self.bytes);
        self
    }

    /// Appends a whole number.
    pub(crate) fn number(&mut self, number: impl itoa::Integer) -> &mut Self {
        self.bytes.extend_from_slice(self.number.format(number).as_bytes());
        self
    }

    /// Appends milliseconds.
    pub(crate) fn ms(&mut self, ms: f64) -> &mut Self {
        jsonl::milliseconds(ms, &mut self.number, &mut self.bytes);
        self
    }

    /// Appends milliseconds as seconds: with four decimals, or as many as it takes.
    pub(crate) fn seconds(&mut self, ms: f64) -> &mut Self {
        let tenths = (ms * 10.0).round();
        if tenths / 10.0 == ms && (0.0..9e15).contains(&tenths) {
            let tenths = tenths as u64;
            self.number(tenths / 10_000);
            let rest = tenths % 10_000;
            self.bytes.push(b'.');
            for digit in [rest / 1000, rest / 100 % 10, rest / 10 % 10, rest % 10] {
                self.bytes.push(b'0' + digit as u8);
            }
        } else {
            self.raw(&(ms / 1000.0).to_string());
        }
        self
    }

    /// Appends a list of ids: those that `fill` puts into the list.
    pub(crate) fn ids(&mut self, fill: impl FnOnce(&mut Vec<i64>)) -> &mut Self {
        fill(&mut self.ids);
        self.bytes.push(b'[');
        jsonl::ids(&self.ids, &mut self.number, &mut self.bytes);
        self.bytes.push(b']');
        self
    }
}
