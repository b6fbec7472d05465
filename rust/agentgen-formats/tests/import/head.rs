//! The beginning of a file, by which its format is recognised.

use agentgen_formats::import::formats::Head;

fn keys(text: &str) -> Vec<bool> {
    Head::of(text).objects.iter().map(|o| o.has("a")).collect()
}

#[test]
fn lines_are_objects() {
    assert_eq!(keys("{\"a\":1}\n\nnot JSON\n7\n{\"b\":2}\n"), [true, false]);
    assert_eq!(keys("\u{feff}{\"a\":1}"), [true]);
    assert_eq!(keys("broken\n{\"a\":1}\n"), [true]);
    assert_eq!(keys(""), [] as [bool; 0]);
}

#[test]
fn a_document_is_one_object_however_it_is_printed() {
    assert_eq!(keys("{\n  \"a\": {\n    \"b\": 1\n  }\n}\n"), [true]);
    assert_eq!(keys("{\"b\":[1,2,\n3],\"a\":0}"), [true]);
}

#[test]
fn elements_of_an_array_are_objects() {
    let head = Head::of("[\n{\"a\":1},\n{\"a\":2}\n]");
    assert!(head.is_array && head.objects.len() == 2);
    assert_eq!(keys("[{\"a\":1},{\"b\":[{\"a\":1}]}]"), [true, false]);
}

#[test]
fn a_document_that_goes_on_gives_the_keys_so_far() {
    let head = Head::of("{\"a\": \"x\", \"m\": {\"n\": \"y\", \"o\": {\"p\": 1}}, \"s\": [1, {\"t\": \"long");
    assert_eq!(head.objects.len(), 1);
    let object = &head.objects[0];
    assert_eq!(object.text("a"), Some("x"));
    assert_eq!(object.object("m").and_then(|m| m.text("n")), Some("y"));
    assert!(object.has_array("s") && !object.has("t"));
    assert!(object.has_all(&["a", "m", "s"]) && !object.has_all(&["a", "n"]));
}
