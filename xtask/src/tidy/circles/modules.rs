//! The modules of a crate, which names each of them knows, and what a path stands for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Fields, Item, ItemUse, Meta, UseTree};

/// All modules of a crate; tests are left out.
pub(super) struct Tree {
    pub(super) files: Vec<SourceFile>,
    pub(super) modules: Vec<Module>,
}

pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) items: Vec<Item>,
    /// The module that the file's own items are in.
    pub(super) module: usize,
}

/// A module: that of a file, or one written in place.
pub(super) struct Module {
    file: usize,
    parent: Option<usize>,
    /// By the module's name in the source; only for modules written in place and file modules.
    children: HashMap<String, usize>,
    names: HashMap<String, Vec<Binding>>,
    globs: Vec<Vec<String>>,
}

/// What a name is bound to in a module.
enum Binding {
    Item(Kind),
    Module(usize),
    /// An import or re-export of this path.
    Import(Vec<String>),
}

/// Which of Rust's name spaces an item is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Type,
    Value,
    /// A struct that is its own constructor.
    Both,
    Macro,
}

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Module(usize),
    Item { file: usize, kind: Kind },
}

impl Tree {
    /// Reads a crate from its root file, `lib.rs` or `main.rs`.
    pub(super) fn read(root_file: &Path) -> Result<Self> {
        let mut tree = Self { files: Vec::new(), modules: Vec::new() };
        let folder = root_file.parent().unwrap_or(Path::new(""));
        tree.read_file(root_file, folder, None)?;
        Ok(tree)
    }

    /// Reads the module of a file; `folder` is where the files of its child modules are.
    fn read_file(&mut self, path: &Path, folder: &Path, parent: Option<usize>) -> Result<usize> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let syntax = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        let file = self.files.len();
        let module = self.modules.len();
        self.files.push(SourceFile { path: path.to_path_buf(), items: Vec::new(), module });
        self.add_module(file, parent, &syntax.items, folder)?;
        self.files[file].items = syntax.items;
        Ok(module)
    }

    fn add_module(
        &mut self,
        file: usize,
        parent: Option<usize>,
        items: &[Item],
        folder: &Path,
    ) -> Result<usize> {
        let module = self.modules.len();
        self.modules.push(Module {
            file,
            parent,
            children: HashMap::new(),
            names: HashMap::new(),
            globs: Vec::new(),
        });
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            if let Item::Mod(child) = item {
                let name = child.ident.to_string();
                let inner = folder.join(&name);
                let id = if let Some((_, items)) = &child.content {
                    self.add_module(file, Some(module), items, &inner)?
                } else {
                    let flat = folder.join(format!("{name}.rs"));
                    let path = if flat.is_file() { flat } else { inner.join("mod.rs") };
                    self.read_file(&path, &inner, Some(module))?
                };
                self.modules[module].children.insert(name.clone(), id);
                self.bind(module, name, Binding::Module(id));
            } else if let Some((name, kind)) = declared(item) {
                self.bind(module, name, Binding::Item(kind));
            }
            let mut imports = Imports::default();
            imports.visit_item(item);
            for import in imports.found {
                match import.name {
                    Some(name) => self.bind(module, name, Binding::Import(import.path)),
                    None => self.modules[module].globs.push(import.path),
                }
            }
        }
        Ok(module)
    }

    fn bind(&mut self, module: usize, name: String, binding: Binding) {
        self.modules[module].names.entry(name).or_default().push(binding);
    }

    pub(super) fn file_of(&self, module: usize) -> usize {
        self.modules[module].file
    }

    pub(super) fn child(&self, module: usize, name: &str) -> Option<usize> {
        self.modules[module].children.get(name).copied()
    }

    /// What `path`, written in the module `from`, stands for in this crate: nothing for paths of
    /// other crates and for local names, several things for a name in several name spaces.
    ///
    /// A path that goes on behind an item, such as `Type::function`, stands for the item.
    pub(super) fn resolve(&self, from: usize, path: &[String]) -> Vec<Target> {
        self.follow(from, path, &mut Vec::new())
    }

    /// `open` holds the names that are being looked up, so that imports in a circle end.
    fn follow(&self, from: usize, path: &[String], open: &mut Vec<(usize, String)>) -> Vec<Target> {
        let mut found = vec![Target::Module(from)];
        for (i, segment) in path.iter().enumerate() {
            let mut next = Vec::new();
            for target in found {
                match target {
                    Target::Item { .. } => next.push(target),
                    Target::Module(module) => match segment.as_str() {
                        "self" => next.push(target),
                        "crate" => next.push(Target::Module(0)),
                        "super" => {
                            next.extend(self.modules[module].parent.map(Target::Module));
                        }
                        name => next.extend(self.look_up(module, name, open)),
                    },
                }
            }
            // `a::b` with both a function and a module `a` goes through the module.
            if i + 1 < path.len() && next.iter().any(|t| matches!(t, Target::Module(_))) {
                next.retain(|target| matches!(target, Target::Module(_)));
            }
            found = next;
        }
        found
    }

    fn look_up(&self, module: usize, name: &str, open: &mut Vec<(usize, String)>) -> Vec<Target> {
        let asked = (module, name.to_owned());
        if open.contains(&asked) {
            return Vec::new();
        }
        open.push(asked);
        let mut found = Vec::new();
        let here = &self.modules[module];
        for binding in here.names.get(name).into_iter().flatten() {
            match binding {
                Binding::Item(kind) => found.push(Target::Item { file: here.file, kind: *kind }),
                Binding::Module(id) => found.push(Target::Module(*id)),
                Binding::Import(path) => found.extend(self.follow(module, path, open)),
            }
        }
        if found.is_empty() {
            for glob in &here.globs {
                for target in self.follow(module, glob, open) {
                    if let Target::Module(id) = target {
                        found.extend(self.look_up(id, name, open));
                    }
                }
            }
        }
        open.pop();
        found
    }
}

/// The name that an item declares, imports and modules aside.
fn declared(item: &Item) -> Option<(String, Kind)> {
    let (name, kind) = match item {
        Item::Const(item) => (&item.ident, Kind::Value),
        Item::Static(item) => (&item.ident, Kind::Value),
        Item::Fn(item) => (&item.sig.ident, Kind::Value),
        Item::Struct(item) if matches!(item.fields, Fields::Named(_)) => (&item.ident, Kind::Type),
        Item::Struct(item) => (&item.ident, Kind::Both),
        Item::Enum(item) => (&item.ident, Kind::Type),
        Item::Union(item) => (&item.ident, Kind::Type),
        Item::Type(item) => (&item.ident, Kind::Type),
        Item::Trait(item) => (&item.ident, Kind::Type),
        Item::Macro(item) => (item.ident.as_ref()?, Kind::Macro),
        _ => return None,
    };
    Some((name.to_string(), kind))
}

/// One path of a `use`.
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// The name it is bound to; `None` for `*`, `_` for a trait without a name.
    name: Option<String>,
}

/// The imports of an item, those inside function bodies included.
#[derive(Default)]
struct Imports {
    found: Vec<Import>,
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.found.extend(imports(item));
        }
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }
}

/// The paths that a `use` names.
pub(super) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    // `use ::name` names another crate.
    if item.leading_colon.is_none() {
        collect(&item.tree, &mut Vec::new(), &mut found);
    }
    found
}

fn collect(tree: &UseTree, prefix: &mut Vec<String>, found: &mut Vec<Import>) {
    let mut add = |last: Option<String>, name: Option<String>| {
        let mut path = prefix.clone();
        // `a::{self}` imports `a`.
        path.extend(last.filter(|last| last != "self"));
        let name = name.map(|name| if name == "self" { path.last().cloned() } else { Some(name) });
        found.push(Import { path, name: name.flatten() });
    };
    match tree {
        UseTree::Path(part) => {
            prefix.push(part.ident.to_string());
            collect(&part.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Name(part) => add(Some(part.ident.to_string()), Some(part.ident.to_string())),
        UseTree::Rename(part) => add(Some(part.ident.to_string()), Some(part.rename.to_string())),
        UseTree::Glob(_) => add(None, None),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(tree, prefix, found);
            }
        }
    }
}

/// The attributes of an item.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether the attributes keep something for tests: `cfg(test)` and `cfg(all(test, …))`.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => asks_for_test(list.tokens.clone()),
        meta => meta.path().is_ident("test"),
    })
}

fn asks_for_test(condition: TokenStream) -> bool {
    let mut tokens = condition.into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(word)), None) => word == "test",
        (Some(TokenTree::Ident(word)), Some(TokenTree::Group(group))) if word == "all" => group
            .stream()
            .into_iter()
            .any(|t| matches!(t, TokenTree::Ident(word) if word == "test")),
        _ => false,
    }
}
