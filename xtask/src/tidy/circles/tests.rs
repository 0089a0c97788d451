//! Circles in small made-up crates.

use std::fs;
use std::path::PathBuf;

use super::{Circle, circles_of};

/// Writes a crate and lists its circles: the files' names, and the arrows as `from -> to: names`.
fn circles(name: &str, files: &[(&str, &str)]) -> Vec<(Vec<String>, Vec<String>)> {
    let folder = std::env::temp_dir().join(format!("xtask-circles-{}-{name}", std::process::id()));
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = circles_of(&folder.join("lib.rs")).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let short = |path: &PathBuf| path.strip_prefix(&folder).unwrap().display().to_string();
    let shown = |circle: &Circle| {
        let arrows = circle.arrows.iter().map(|(from, to, names)| {
            let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
            format!("{} -> {}: {names}", short(from), short(to))
        });
        (circle.files.iter().map(short).collect(), arrows.collect())
    };
    found.iter().map(shown).collect()
}

fn none(name: &str, files: &[(&str, &str)]) {
    assert_eq!(circles(name, files), Vec::new());
}

fn one(name: &str, files: &[(&str, &str)], arrows: &[&str]) {
    let found = circles(name, files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, arrows);
}

#[test]
fn two_files() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A; fn f(_: B) {}"),
        ("b.rs", "pub struct B; pub fn make() -> super::a::A { super::a::A }"),
    ];
    one("two", &files, &["a.rs -> b.rs: B", "b.rs -> a.rs: A"]);
}

#[test]
fn three_files_and_one_beside_them() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b; use crate::d::D; pub struct A(D); fn f() { b::g() }"),
        ("b.rs", "use super::c::{self, C as Other}; pub fn g() { c::h(); let _: Other; }"),
        ("c.rs", "pub struct C; pub fn h() { vec![crate::a::A] }"),
        ("d.rs", "pub struct D;"),
    ];
    let found = circles("three", &files);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, ["a.rs", "b.rs", "c.rs"]);
    let arrows = ["a.rs -> b.rs: g", "b.rs -> c.rs: C, Other, h", "c.rs -> a.rs: A"];
    assert_eq!(found[0].1, arrows);
}

#[test]
fn a_parent_and_its_child() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a.rs", "mod inner; pub use inner::make; pub struct A; fn f() { make(); }"),
        ("a/inner.rs", "use super::A; pub fn make() -> A { A }"),
    ];
    one("parent", &files, &["a.rs -> a/inner.rs: make", "a/inner.rs -> a.rs: A"]);
    let (mut glob, mut unused) = (files, files);
    glob[2].1 = "use super::*; pub fn make() -> A { A }";
    one("glob", &glob, &["a.rs -> a/inner.rs: make", "a/inner.rs -> a.rs: A"]);
    unused[1].1 = "mod inner; pub use inner::make; pub struct A;";
    none("re-exported only", &unused);
}

#[test]
fn a_re_export_leads_to_the_defining_file() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::*;"),
        ("a.rs", "mod part; pub use part::Part; use crate::b::B; pub struct A(B);"),
        ("a/part.rs", "pub struct Part;"),
        ("b.rs", "use crate::a::Part; pub struct B(Part);"),
    ];
    none("re-export", &files);
    let mut through_root = files;
    through_root[3].1 = "pub struct B(Box<crate::A>);";
    one("through the root", &through_root, &["a.rs -> b.rs: B", "b.rs -> a.rs: A"]);
}

#[test]
fn names_that_the_parent_imported() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod inner; use crate::b::B; pub struct A(B);"),
        ("a/inner.rs", "use super::B; fn f(_: B) {}"),
        ("b.rs", "pub struct B;"),
    ];
    none("imported by the parent", &files);
}

#[test]
fn tests_are_left_out() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
        ("b.rs", "use crate::a::A; pub struct B(A); #[cfg(test)] mod tests;"),
        ("b/tests.rs", "use crate::b::B; use crate::a::A;"),
    ];
    none("tests", &files);
    let mut all = files;
    all[1].1 = "pub struct A; #[cfg(all(test, feature = \"x\"))] use crate::b::B;";
    none("tests with a feature", &all);
}

#[test]
fn local_names_are_no_arrows() {
    let files = [
        ("lib.rs", "mod a; mod rows;"),
        ("a.rs", "mod rows; fn f(rows: Vec<u8>, x: u8) { rows.len(); x.g(); assert!(rows.g()); }"),
        ("a/rows.rs", "use crate::rows::R; pub fn g(_: R) { super::h() }"),
        ("rows.rs", "pub struct R;"),
    ];
    none("local", &files);
}

#[test]
fn serde_and_other_attributes_name_functions() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A { #[serde(default = \"crate::b::one\")] x: u8 }"),
        ("b.rs", "pub fn one() -> u8 { 1 } #[error(\"{}\", crate::a::A::name())] pub struct E;"),
    ];
    one("attributes", &files, &["a.rs -> b.rs: one", "b.rs -> a.rs: A"]);
}
