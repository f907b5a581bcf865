//! Lints are suppressed with a reason or not at all.
//!
//! `#[allow]` outlives its cause unseen; `#[expect]` complains when the cause is gone. Both inside `cfg_attr` too.

use super::Problem;
use crate::tree::{Source, Tree};
use syn::spanned::Spanned;
use syn::visit::Visit;

pub fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for (file, attribute) in all(tree) {
        let line = attribute.span().start().line;
        let name = attribute.path().get_ident().map(ToString::to_string).unwrap_or_default();
        let inside = tokens(&attribute);
        if name == "allow" || (name == "cfg_attr" && inside.contains("allow (")) {
            let fix = "write #[expect(lint, reason = \"..\")], or mend the cause";
            problems.push(Problem::new(&file.path, line, "a lint is switched off by `allow`", fix));
        }
        if (name == "expect" || (name == "cfg_attr" && inside.contains("expect (")))
            && !inside.contains("reason =")
        {
            problems.push(Problem::new(&file.path, line, "`expect` gives no reason", "add reason = \"..\""));
        }
    }
}

/// Functions outside tests that are excused from the limit on length.
pub fn excused_functions(tree: &Tree) -> Vec<Problem> {
    let excused = all(tree).into_iter().filter(|(file, attribute)| {
        !file.is_test() && attribute.path().is_ident("expect") && tokens(attribute).contains("too_many_lines")
    });
    let problem = |(file, attribute): (&Source, syn::Attribute)| {
        let line = attribute.span().start().line;
        Problem::new(&file.path, line, "the limit on a function's length is suppressed", "shorten it instead")
    };
    excused.map(problem).collect()
}

fn tokens(attribute: &syn::Attribute) -> String {
    match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

fn all(tree: &Tree) -> Vec<(&Source, syn::Attribute)> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let mut visitor = Attributes(Vec::new());
        if let Some(syntax) = &file.syntax {
            visitor.visit_file(syntax);
        }
        found.extend(visitor.0.into_iter().map(|attribute| (file, attribute)));
    }
    found
}

struct Attributes(Vec<syn::Attribute>);

impl<'ast> Visit<'ast> for Attributes {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let path = attribute.path();
        if ["allow", "expect", "cfg_attr"].iter().any(|name| path.is_ident(name)) {
            self.0.push(attribute.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_and_expect_without_reason_are_refused() {
        let text = "#![allow(dead_code)]\n#[expect(clippy::too_many_lines)]\nfn a() {}\n\
            #[cfg_attr(test, allow(unused))]\nfn b() {}\n#[expect(unsafe_code, reason = \"why\")]\nfn c() {}\n";
        let tree = Tree::of(&[("crates/a/src/lib.rs", text)]);
        let mut problems = Vec::new();
        check(&tree, &mut problems);
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 2, 4]);
        assert_eq!(excused_functions(&tree).len(), 1);
    }
}
