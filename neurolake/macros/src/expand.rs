//! From tokens to tokens.

use neurolake_declare as declare;
use neurolake_declare::diagnostic::{Diagnostic, SpanRange};
use neurolake_model::declaration::ColumnDeclaration;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Fields, FnArg, Item, ItemFn, ItemStruct, Pat, PatType, Type};

pub(crate) fn table(arguments: TokenStream, tokens: &TokenStream) -> TokenStream {
    let item: Item = match syn::parse2(tokens.clone()) {
        Ok(item) => item,
        // The compiler reports broken syntax by itself once it gets the tokens back.
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #tokens);
        }
    };
    let attribute = SpanRange::from(Span::call_site());
    match item {
        Item::Struct(mut item) => {
            let (declaration, diagnostics) =
                declare::table(arguments, attribute, declare::Item::Struct(&item));
            let errors = compile_errors(diagnostics);
            strip_column_attributes(&mut item);
            let ident = &item.ident;
            let json = json(&declaration);
            let (generics, arguments, bounds) = item.generics.split_for_impl();
            // A broken table is a table too, or each of its users would be one more error.
            // It is registered, and need not be constructed.
            let kept = quote! {
                #[allow(dead_code)]
                #item

                #[allow(deprecated)]
                impl #generics ::neurolake::Table for #ident #arguments #bounds {
                    const MODULE: &'static str = ::core::module_path!();
                    const DECLARATION: &'static str = #json;
                }
            };
            if !errors.is_empty() {
                return quote!(#kept #errors);
            }
            let nested = nested(&declaration.columns);
            let rows =
                cfg!(feature = "engine").then(|| quote!(rows: ::core::option::Option::None,));
            quote! {
                #kept

                ::neurolake::__private::submit! {
                    ::neurolake::registry::Registration {
                        module: ::core::module_path!(),
                        declaration: #json,
                        nested: #nested,
                        #rows
                    }
                }
            }
        }
        Item::Fn(item) => {
            let (declaration, diagnostics) =
                declare::table(arguments, attribute, declare::Item::Function(&item));
            let errors = compile_errors(diagnostics);
            if !errors.is_empty() {
                // Without the engine nothing of the function would stay anyway.
                let item = cfg!(feature = "engine").then_some(item);
                return quote!(#item #errors);
            }
            let kept = function(&item, &declaration.inputs);
            let json = json(&declaration);
            let nested = if let Some(path) = &declaration.rows {
                let path = tokens_of(path);
                quote! { &[(::core::stringify!(#path), <#path as ::neurolake::Columns>::columns)] }
            } else {
                quote! { &[] }
            };
            let rows = cfg!(feature = "engine").then(|| rows(&item));
            quote! {
                #kept

                ::neurolake::__private::submit! {
                    ::neurolake::registry::Registration {
                        module: ::core::module_path!(),
                        declaration: #json,
                        nested: #nested,
                        #rows
                    }
                }
            }
        }
        other => {
            let error = compile_error(&declare::table::wrong_item(&other));
            quote!(#other #error)
        }
    }
}

pub(crate) fn columns(tokens: TokenStream) -> TokenStream {
    let item: ItemStruct = match syn::parse2::<Item>(tokens) {
        Ok(Item::Struct(item)) => item,
        Ok(other) => return compile_error(&declare::columns_wrong_item(&other)),
        Err(error) => return error.to_compile_error(),
    };
    let (declaration, diagnostics) = declare::columns(&item);
    let errors = compile_errors(diagnostics);
    let ident = &item.ident;
    if !errors.is_empty() {
        let (generics, arguments, bounds) = item.generics.split_for_impl();
        return quote! {
            #errors

            #[allow(deprecated)]
            impl #generics ::neurolake::Columns for #ident #arguments #bounds {
                fn columns() -> ::std::vec::Vec<::neurolake::model::Column> {
                    ::std::vec::Vec::new()
                }
            }
        };
    }
    let json = json(&declaration.columns);
    let nested = nested(&declaration.columns);
    quote! {
        #[allow(deprecated)]
        impl ::neurolake::Columns for #ident {
            fn columns() -> ::std::vec::Vec<::neurolake::model::Column> {
                ::neurolake::registry::resolve_columns(#json, #nested)
            }
        }
    }
}

/// The function itself when the query engine is there; otherwise only what type-checks without it:
/// argument types and the tables that it reads.
fn function(item: &ItemFn, inputs: &[String]) -> TokenStream {
    if cfg!(feature = "engine") {
        return quote!(#item);
    }
    let types = arguments(item).map(|argument| &argument.ty);
    let inputs = inputs
        .iter()
        .filter(|input| !input.contains('.'))
        .map(|input| tokens_of(input));
    let docs = item.attrs.iter().filter(|attribute| {
        attribute.path().is_ident("doc") || attribute.path().is_ident("deprecated")
    });
    let visibility = &item.vis;
    let ident = &item.sig.ident;
    quote! {
        // Without it, links to the function would dangle in rustdoc.
        #[cfg(doc)]
        #(#docs)*
        #visibility fn #ident() {}

        const _: () = {
            #[allow(dead_code, deprecated, unused_variables, clippy::needless_pass_by_value)]
            fn signature(#(_: #types),*) {
                #(let _: ::core::option::Option<#inputs> = ::core::option::Option::None;)*
            }
        };
    }
}

/// What a query gives, as arguments of the function.
fn arguments(item: &ItemFn) -> impl Iterator<Item = &PatType> {
    item.sig
        .inputs
        .iter()
        .skip(1)
        .filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        })
}

/// A call of the function with values from a query.
fn rows(item: &ItemFn) -> TokenStream {
    let ident = &item.sig.ident;
    // Names of the user's own items must not be hidden by those of the arguments.
    let name = |index| format_ident!("argument_{index}", span = Span::mixed_site());
    let mut names = Vec::new();
    let mut values = Vec::new();
    for (index, argument) in arguments(item).enumerate() {
        let name = name(index);
        let ty = &argument.ty;
        let label = match &*argument.pat {
            Pat::Ident(pattern) => pattern.ident.unraw().to_string(),
            other => quote!(#other).to_string(),
        };
        let is_reference = matches!(&**ty, Type::Reference(_));
        values.push(if is_reference {
            names.push(quote!(&#name));
            quote! {
                let #name: ::std::string::String =
                    ::neurolake::__private::argument(#label, values.next())?;
            }
        } else {
            names.push(quote!(#name));
            quote! {
                let #name: #ty = ::neurolake::__private::argument(#label, values.next())?;
            }
        });
    }
    quote! {
        rows: ::core::option::Option::Some(|lake, values| {
            ::std::boxed::Box::pin(async move {
                #[allow(unused_mut, unused_variables)]
                let mut values = values.into_iter();
                #(#values)*
                #[allow(deprecated)]
                ::neurolake::__private::answer(#ident(&lake #(, #names)*).await)
            })
        }),
    }
}

/// Structs that the columns name, each with the function that gives its columns.
fn nested(columns: &[ColumnDeclaration]) -> TokenStream {
    let mut names: Vec<&str> = columns
        .iter()
        .filter_map(|column| column.data_type.names())
        .collect();
    names.sort_unstable();
    names.dedup();
    let paths = names.iter().map(|name| tokens_of(name));
    quote! { &[#((#names, <#paths as ::neurolake::Columns>::columns)),*] }
}

/// `#[column]` belongs to the attribute macro, the compiler doesn't know it.
fn strip_column_attributes(item: &mut ItemStruct) {
    if let Fields::Named(fields) = &mut item.fields {
        for field in &mut fields.named {
            field.attrs.retain(|attribute| {
                // One inside of `#[cfg_attr]` was refused already.
                let is_conditional = attribute.path().is_ident("cfg_attr")
                    && quote!(#attribute).to_string().contains("column");
                !attribute.path().is_ident("column") && !is_conditional
            });
        }
    }
}

fn tokens_of(path: &str) -> TokenStream {
    path.parse().expect("a path that was parsed as one")
}

fn json(declaration: &impl serde::Serialize) -> String {
    serde_json::to_string(declaration).expect("a declaration holds only JSON values")
}

fn compile_errors(diagnostics: declare::Diagnostics) -> TokenStream {
    diagnostics
        .into_iter()
        .map(|diagnostic| compile_error(&diagnostic))
        .collect()
}

/// The compiler underlines from the first to the last token of a `compile_error!`.
fn compile_error(diagnostic: &Diagnostic) -> TokenStream {
    let text = diagnostic.text();
    let start = diagnostic.span.start;
    let end = diagnostic.span.end;
    let name = quote_spanned!(start=> ::core::compile_error);
    let bang = quote_spanned!(start=> !);
    let mut group = proc_macro2::Group::new(proc_macro2::Delimiter::Brace, quote!(#text));
    group.set_span(end);
    let group = TokenTree::Group(group);
    quote!(#name #bang #group)
}
