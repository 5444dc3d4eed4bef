//! Function tables: typed arguments from the signature, lineage from the body.

use neurolake_model::declaration::TypeRef;
use neurolake_model::{Argument, Type};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{
    Expr, ExprLit, ExprMethodCall, FnArg, Generics, ItemFn, Lit, Pat, Signature, Type as Syntax,
};

use crate::code::Code;
use crate::columns::{read_type, refuse_generics, text};
use crate::diagnostic::{Diagnostic, Diagnostics, SpanRange};

const SHAPE: &str =
    "async fn name(lake: &Lake, argument: Option<i64>) -> Result<DataFrame> { ... }";

/// Reads the arguments of a table function.
pub(crate) fn arguments(signature: &Signature, diagnostics: &mut Diagnostics) -> Vec<Argument> {
    refuse_generics(&signature.generics, diagnostics);
    if signature.asyncness.is_none() {
        diagnostics.push(
            Diagnostic::new(
                Code::Signature,
                signature.fn_token.span,
                "a table function is `async`",
            )
            .help(format!("write `{SHAPE}`")),
        );
    }
    if matches!(signature.output, syn::ReturnType::Default) {
        diagnostics.push(
            Diagnostic::new(
                Code::Signature,
                signature.ident.span(),
                format!("`{}` returns nothing", signature.ident),
            )
            .help(format!("write `{SHAPE}`")),
        );
    }
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Typed(first)) if is_lake(&first.ty) => {}
        Some(other) => diagnostics.push(first_argument(SpanRange::of(other))),
        None => diagnostics.push(first_argument(signature.ident.span().into())),
    }
    inputs
        .filter_map(|input| argument(input, &signature.generics, diagnostics))
        .collect()
}

fn first_argument(span: SpanRange) -> Diagnostic {
    Diagnostic::new(
        Code::Signature,
        span,
        "the first argument of a table function is `lake: &Lake`",
    )
    .help(format!("write `{SHAPE}`"))
}

fn is_lake(syntax: &Syntax) -> bool {
    let Syntax::Reference(reference) = syntax else {
        return false;
    };
    matches!(&*reference.elem, Syntax::Path(path)
        if path.path.segments.last().is_some_and(|segment| segment.ident == "Lake"))
}

fn argument(input: &FnArg, generics: &Generics, diagnostics: &mut Diagnostics) -> Option<Argument> {
    let FnArg::Typed(typed) = input else {
        diagnostics.push(
            Diagnostic::new(
                Code::Signature,
                SpanRange::of(input),
                "a table function takes no `self`",
            )
            .help(format!("write `{SHAPE}`")),
        );
        return None;
    };
    let Pat::Ident(pattern) = &*typed.pat else {
        diagnostics.push(
            Diagnostic::new(
                Code::Signature,
                SpanRange::of(&typed.pat),
                "an argument of a table function has a plain name",
            )
            .help("write `name: Type`, one argument for each filter"),
        );
        return None;
    };
    let name = pattern.ident.unraw().to_string();
    // `&str` is what Rust functions take where a column would be `String`.
    let written = text(&typed.ty);
    if generics.type_params().any(|param| param.ident == written) {
        // The parameter itself was refused.
        return None;
    }
    let read = if written == "&str" {
        Ok((TypeRef::Known(Type::String), false))
    } else {
        read_type(&typed.ty)
    };
    let (data_type, nullable) = match read {
        Ok(read) => read,
        Err(mut diagnostic) => {
            diagnostic.code = Code::ArgumentType;
            diagnostic.message = diagnostic.message.replace("of a column", "of a filter");
            diagnostics.push(*diagnostic);
            return None;
        }
    };
    let filterable = match &data_type {
        TypeRef::Known(Type::List { item, .. }) if item.is_scalar() => Some(data_type.clone()),
        TypeRef::Known(known) if known.is_scalar() => Some(data_type.clone()),
        _ => None,
    };
    let Some(TypeRef::Known(data_type)) = filterable else {
        diagnostics.push(
            Diagnostic::new(
                Code::ArgumentType,
                SpanRange::of(&typed.ty),
                format!("`{written}` can't be the type of a filter"),
            )
            .help("use a scalar, `Option` of one, or `Vec` of one"),
        );
        return None;
    };
    Some(Argument {
        name,
        data_type,
        required: !nullable,
    })
}

/// Tables that the body reads: `lake.table::<T>()` and `lake.sql("...")`.
pub(crate) fn inputs(function: &ItemFn) -> Vec<String> {
    let mut collector = Collector { inputs: Vec::new() };
    collector.visit_block(&function.block);
    collector.inputs
}

struct Collector {
    inputs: Vec<String>,
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "table"
            && let Some(turbofish) = &call.turbofish
            && let Some(syn::GenericArgument::Type(Syntax::Path(path))) = turbofish.args.first()
        {
            let path = path.to_token_stream().to_string().replace(' ', "");
            self.inputs.push(path);
        }
        if call.method == "sql"
            && let Some(Expr::Lit(ExprLit {
                lit: Lit::Str(query),
                ..
            })) = call.args.first()
            && let Ok(view) = crate::sql::view(&query.value())
        {
            self.inputs
                .extend(view.inputs.iter().map(ToString::to_string));
        }
        visit::visit_expr_method_call(self, call);
    }
}
