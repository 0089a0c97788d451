//! Which file uses which: every path in a file's code, followed to the file that defines the item.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Literal, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ExprPath, ImplItemFn, Item, ItemMod, ItemUse, Macro, Meta, Path, Visibility};

use super::modules::{Kind, Target, Tree, attributes, imports, is_test};

/// The names of the items that tie one file to another, by the two files' positions in the tree.
pub(super) type Arrows = BTreeMap<(usize, usize), BTreeSet<String>>;

/// The arrows between the files of a crate. Declarations (`mod x;`), re-exports and tests give none.
pub(super) fn arrows(tree: &Tree) -> Arrows {
    let mut arrows = Arrows::new();
    for file in &tree.files {
        let mut reader = Reader { tree, module: file.module, arrows: &mut arrows };
        for item in &file.items {
            reader.visit_item(item);
        }
    }
    arrows
}

struct Reader<'a> {
    tree: &'a Tree,
    module: usize,
    arrows: &'a mut Arrows,
}

impl Reader<'_> {
    /// Adds an arrow for each item of another file that `path` stands for and `counts` accepts.
    fn add(&mut self, path: &[String], counts: impl Fn(Kind) -> bool) {
        let from = self.tree.file_of(self.module);
        for target in self.tree.resolve(self.module, path) {
            if let Target::Item { file, kind } = target
                && file != from
                && counts(kind)
            {
                let leads =
                    |end: &usize| self.tree.resolve(self.module, &path[..*end]).contains(&target);
                // The item itself: `Type` of `module::Type::function`.
                let end = (1..path.len()).find(leads).unwrap_or(path.len());
                let name = path[end - 1].clone();
                self.arrows.entry((from, file)).or_default().insert(name);
            }
        }
    }

    fn arguments(&mut self, path: &Path) {
        for segment in &path.segments {
            self.visit_path_arguments(&segment.arguments);
        }
    }

    /// The paths among the tokens of a macro or an attribute, whose grammar is the macro's own.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut colons, mut after_dot) = (0, false);
        for token in tokens {
            match &token {
                TokenTree::Punct(sign) if sign.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(word) if colons == 2 && !path.is_empty() => {
                    path.push(word.to_string());
                }
                other => {
                    self.loose(&path);
                    path.clear();
                    match other {
                        // What follows a dot is a field or a method.
                        TokenTree::Ident(word) if !after_dot => path.push(word.to_string()),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => {}
                    }
                }
            }
            colons = 0;
            after_dot = matches!(&token, TokenTree::Punct(sign) if sign.as_char() == '.');
        }
        self.loose(&path);
    }

    /// A path from tokens. A single lower-case word is a function or a constant, or a local name.
    fn loose(&mut self, path: &[String]) {
        match path {
            [] => {}
            [word] if word.starts_with(char::is_lowercase) => self.add(path, is_value),
            _ => self.add(path, |_| true),
        }
    }

    /// Serde names functions and modules in string literals.
    fn path_in_text(&mut self, literal: &Literal) {
        let text = literal.to_string();
        if let Ok(path) = syn::parse_str::<Path>(text.trim_matches('"')) {
            self.loose(&words(&path));
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        // A module with a file of its own is read with that file.
        let child = self.tree.child(self.module, &item.ident.to_string());
        if let (Some(child), Some((_, items))) = (child, &item.content) {
            let outer = std::mem::replace(&mut self.module, child);
            for item in items {
                self.visit_item(item);
            }
            self.module = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if matches!(item.vis, Visibility::Inherited) {
            for import in imports(item) {
                self.add(&import.path, |_| true);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            self.add(&words(path), |_| true);
        }
        self.arguments(path);
    }

    /// A single word in an expression is a value; it may be a local one with a module's name.
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if path.qself.is_none() && path.path.segments.len() == 1 {
            self.add(&words(&path.path), is_value);
            self.arguments(&path.path);
        } else {
            visit::visit_expr_path(self, path);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.add(&words(&call.path), |kind| kind == Kind::Macro);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        if list.path.is_ident("serde") {
            for token in list.tokens.clone() {
                if let TokenTree::Literal(literal) = token {
                    self.path_in_text(&literal);
                }
            }
        } else if !["cfg", "cfg_attr", "derive", "allow", "expect"]
            .iter()
            .any(|a| list.path.is_ident(a))
        {
            self.tokens(list.tokens.clone());
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn is_value(kind: Kind) -> bool {
    matches!(kind, Kind::Value | Kind::Both)
}

fn words(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}
