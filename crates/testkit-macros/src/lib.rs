//! The attribute that runs a test on both databases. For tests alone; it depends on nothing.

use proc_macro::{Delimiter, TokenStream, TokenTree};

/// Runs an `async fn` with one parameter as two tests, `name::sqlite` and `name::postgres`.
///
/// The parameter's type is a `store::testing::TestContext`: a new one is made for each of the two tests. With an argument,
/// `#[on_both_databases(builder())]`, the context is what `builder().start(dialect).await` returns, an `Option`. The PostgreSQL
/// test ends early, and says so on standard error, if PostgreSQL's programs are missing.
#[proc_macro_attribute]
pub fn on_both_databases(builder: TokenStream, test: TokenStream) -> TokenStream {
    let Some((name, context)) = signature(test.clone()) else {
        return parse("compile_error!(\"`on_both_databases` takes an `async fn` with one parameter\");");
    };
    let start = if builder.is_empty() {
        format!("<{context} as ::store::testing::TestContext>::on(dialect)")
    } else {
        format!("({builder}).start(dialect)")
    };
    let tests = format!(
        "mod {name} {{
            use super::*;

            async fn on(dialect: ::store::Dialect) {{
                if let Some(context) = {start}.await {{
                    super::{name}(context).await;
                }}
            }}

            #[::tokio::test(flavor = \"multi_thread\", worker_threads = 2)]
            async fn sqlite() {{
                on(::store::Dialect::Sqlite).await;
            }}

            #[::tokio::test(flavor = \"multi_thread\", worker_threads = 2)]
            async fn postgres() {{
                on(::store::Dialect::Postgres).await;
            }}
        }}"
    );
    [test, parse(&tests)].into_iter().collect()
}

/// The name of a function and the type of its parameter.
fn signature(test: TokenStream) -> Option<(String, TokenStream)> {
    let mut tokens = test.into_iter();
    tokens.find(|token| matches!(token, TokenTree::Ident(word) if word.to_string() == "fn"))?;
    let name = tokens.next()?.to_string();
    let parameters = match tokens.next()? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => group.stream(),
        _ => return None,
    };
    let mut parameters = parameters.into_iter();
    parameters.find(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ':'))?;
    let context: TokenStream = parameters
        .take_while(|token| !matches!(token, TokenTree::Punct(mark) if mark.as_char() == ','))
        .collect();
    (!context.is_empty()).then_some((name, context))
}

fn parse(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}
