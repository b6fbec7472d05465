//! Inputs of tools, which `AgentTrace` has as Python's text of their arguments, as JSON.

use serde_json::{Map, Number, Value};

/// Literals inside of literals are read so deep.
const MAX_DEPTH: usize = 64;

/// The arguments of `kwargs={...}` as an object, or of `args=(...)` as a list; `None` for any other text.
pub(super) fn arguments(text: &str) -> Option<Value> {
    let text = text.trim();
    let literal = text.strip_prefix("kwargs=").or_else(|| text.strip_prefix("args="))?;
    let mut reader = Reader { rest: literal.chars().collect(), at: 0 };
    let value = reader.value(0)?;
    reader.skip_spaces();
    (reader.at == reader.rest.len()).then_some(value)
}

struct Reader {
    rest: Vec<char>,
    at: usize,
}

impl Reader {
    fn skip_spaces(&mut self) {
        while self.rest.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, expected: char) -> Option<()> {
        self.skip_spaces();
        (self.rest.get(self.at) == Some(&expected)).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_spaces();
        match self.rest.get(self.at)? {
            '{' => self.dictionary(depth),
            '[' => self.list(']', depth),
            '(' => self.list(')', depth),
            '\'' | '"' => self.text().map(Value::String),
            _ => self.word(),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut object = Map::new();
        while self.take('}').is_none() {
            let key = match self.value(depth + 1)? {
                Value::String(text) => text,
                other => other.to_string(),
            };
            self.take(':')?;
            object.insert(key, self.value(depth + 1)?);
            if self.take(',').is_none() {
                self.take('}')?;
                break;
            }
        }
        Some(Value::Object(object))
    }

    fn list(&mut self, end: char, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut values = Vec::new();
        while self.take(end).is_none() {
            values.push(self.value(depth + 1)?);
            if self.take(',').is_none() {
                self.take(end)?;
                break;
            }
        }
        Some(Value::Array(values))
    }

    fn text(&mut self) -> Option<String> {
        let quote = *self.rest.get(self.at)?;
        self.at += 1;
        let mut text = String::new();
        loop {
            let next = *self.rest.get(self.at)?;
            self.at += 1;
            match next {
                _ if next == quote => return Some(text),
                '\\' => text.push(self.escape()?),
                _ => text.push(next),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let escaped = *self.rest.get(self.at)?;
        self.at += 1;
        let digits = match escaped {
            'n' => return Some('\n'),
            't' => return Some('\t'),
            'r' => return Some('\r'),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            other => return Some(other),
        };
        let code: String = self.rest.get(self.at..self.at + digits)?.iter().collect();
        self.at += digits;
        char::from_u32(u32::from_str_radix(&code, 16).ok()?)
    }

    /// `True`, `False`, `None`, or a number.
    fn word(&mut self) -> Option<Value> {
        let is_part = |c: &&char| c.is_alphanumeric() || matches!(**c, '.' | '-' | '+' | '_');
        let word: String = self.rest[self.at..].iter().take_while(is_part).collect();
        self.at += word.chars().count();
        match &*word {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "None" => Some(Value::Null),
            number => number
                .parse::<i64>()
                .map(Value::from)
                .ok()
                .or_else(|| Some(Value::Number(Number::from_f64(number.parse().ok()?)?))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn python_arguments_become_json() {
        let cases = [
            (
                r#"kwargs={'command': 'echo "a"', "it's": 1, 'x': [1.5, None, True, (2,)]}"#,
                Some(json!({"command": "echo \"a\"", "it's": 1, "x": [1.5, null, true, [2]]})),
            ),
            (r"args=('a\n\'\x41\u00e9',)", Some(json!(["a\n'A\u{e9}"]))),
            ("args=()", Some(json!([]))),
            ("kwargs={}", Some(json!({}))),
            ("kwargs={'a': <object>}", None),
            ("kwargs={'a': 'b'", None),
            ("kwargs={'a': 'b'} and more", None),
            ("ls", None),
        ];
        for (text, expected) in cases {
            assert_eq!(arguments(text), expected, "{text}");
        }
        assert_eq!(arguments(&format!("args={}", "[".repeat(10_000))), None);
    }
}
