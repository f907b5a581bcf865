//! How long functions and files are, and whether a file says what it is for.
//!
//! A function's length is counted as clippy counts it: lines of its body that hold code. A file's length is all its lines
//! without an inline `#[cfg(test)] mod`. Tests are not measured.

use super::Problem;
use crate::tree::{Source, Tree};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A screen.
pub const FUNCTION_LINES_MAX: usize = 70;
/// One idea, and the place where a reader still finds things by scrolling.
pub const FILE_LINES_MAX: usize = 500;

pub fn long_files(tree: &Tree) -> Vec<Problem> {
    let measured = tree.rust().filter(|file| !file.is_test());
    let long = measured.filter_map(|file| {
        let lines = file.text.lines().count() - test_lines(file);
        let what = format!("the file has {lines} lines without tests, {FILE_LINES_MAX} is the limit");
        (lines > FILE_LINES_MAX).then(|| Problem::new(&file.path, 1, what, "split it by idea, not by size"))
    });
    long.collect()
}

pub fn long_functions(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust().filter(|file| !file.is_test()) {
        if let Some(syntax) = &file.syntax {
            Functions { file, problems: &mut problems }.visit_file(syntax);
        }
    }
    problems
}

fn test_lines(file: &Source) -> usize {
    let items = file.syntax.iter().flat_map(|syntax| &syntax.items);
    let tests = items.filter_map(|item| match item {
        syn::Item::Mod(module) if is_cfg_test(&module.attrs) => Some(module.span()),
        _ => None,
    });
    tests.map(|span| span.end().line + 1 - span.start().line).sum()
}

fn is_cfg_test(attributes: &[syn::Attribute]) -> bool {
    let is = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string().contains("test"),
        _ => false,
    };
    attributes.iter().any(is)
}

struct Functions<'a> {
    file: &'a Source,
    problems: &'a mut Vec<Problem>,
}

impl Functions<'_> {
    fn measure(&mut self, name: &syn::Ident, block: &syn::Block) {
        let lines = self.code_lines(block.span());
        if lines > FUNCTION_LINES_MAX {
            let what = format!("`{name}` has {lines} lines, {FUNCTION_LINES_MAX} is the limit");
            let fix = "keep the branches here and hand straight-line work to functions below";
            self.problems.push(Problem::new(&self.file.path, name.span().start().line, what, fix));
        }
    }

    fn code_lines(&self, body: Span) -> usize {
        let (first, last) = (body.start().line, body.end().line);
        let inside = self.file.text.lines().skip(first).take(last.saturating_sub(first + 1));
        inside.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_cfg_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig.ident, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig.ident, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig.ident, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: usize) -> String {
        format!("//! A sample.\nfn long() {{\n{}    // a remark\n\n}}\n", "    let _ = 1;\n".repeat(lines))
    }

    #[test]
    fn a_function_of_71_lines_is_named_and_one_of_70_is_not() {
        let tree =
            Tree::of(&[("crates/a/src/at.rs", &function(70)), ("crates/a/src/over.rs", &function(71))]);
        let said: Vec<_> = long_functions(&tree).iter().map(Problem::to_string).collect();
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("crates/a/src/over.rs:2: `long` has 71 lines"), "{said:?}");
    }

    #[test]
    fn methods_are_measured_and_tests_are_not() {
        let body = "    let _ = 1;\n".repeat(80);
        let method = format!("struct A;\nimpl A {{\nfn long() {{\n{body}}}\n}}\n");
        let inline = format!("#[cfg(test)]\nmod tests {{\nfn long() {{\n{body}}}\n}}\n");
        let tree = Tree::of(&[
            ("crates/a/src/method.rs", &method),
            ("crates/a/src/inline.rs", &inline),
            ("crates/a/tests/it/main.rs", &function(80)),
        ]);
        let files: Vec<_> = long_functions(&tree).into_iter().map(|problem| problem.file).collect();
        assert_eq!(files, ["crates/a/src/method.rs"]);
    }

    #[test]
    fn a_file_is_measured_without_its_tests() {
        let lines = "const A: u8 = 1;\n";
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines.repeat(300));
        let tree = Tree::of(&[
            ("crates/a/src/fits.rs", &format!("{}{tests}", lines.repeat(500))),
            ("crates/a/src/over.rs", &format!("{}{tests}", lines.repeat(501))),
            ("crates/a/tests/it/long.rs", &lines.repeat(900)),
        ]);
        let said: Vec<_> = long_files(&tree).iter().map(Problem::to_string).collect();
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("crates/a/src/over.rs:1: the file has 501 lines without tests"),
            "{said:?}"
        );
    }
}
