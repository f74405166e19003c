//! Statements of the documentation, checked against the program.

use store::testing::run_sql;
use store::{Store, StoreOptions, testing::TestServer};

use crate::process::Sandbox;
use crate::serving::Served;

const OPERATE: &str = include_str!("../../../../docs/operate.md");
const CALLING: &str = include_str!("../../../../docs/calling.md");

#[test]
fn the_scopes_are_the_same_in_the_document_and_the_help() {
    let documented: Vec<&str> = OPERATE
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| `")?
                .split_once("` | ")
                .map(|(scope, _)| scope)
        })
        .filter(|name| name.starts_with("environment:") || name.starts_with("account:"))
        .collect();
    let known: Vec<&str> = gateway::Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    assert_eq!(documented, known);

    let help = Sandbox::new().succeed(&["api-keys", "create", "--help"]);
    for scope in known {
        assert!(help.contains(&format!("  {scope}\n")), "{scope}: {help}");
    }
}

/// Returns the only SQL block of a page, with its placeholders replaced.
fn sql(page: &str) -> String {
    let (_, block) = page.split_once("```sql\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_documented_role_reads_the_tables_and_no_secret() {
    let Some(server) = TestServer::start() else { return };
    let database = server.database();
    let mut served = Served::new(10);
    served.sandbox.set("TRUNKLINE_DATABASE__URL", &database.address());
    served.sandbox.set(
        "TRUNKLINE_ENCRYPTION_KEY",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    );
    let running = served.start();
    served.ask(&running, &["connect", "twilio", "--connection-id", "user-1"]);

    let query = CALLING
        .split_once("sqlite3 -readonly -box trunkline.db \"")
        .unwrap()
        .1;
    let query = query.split_once('"').unwrap().0.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(&database.address().parse().unwrap(), StoreOptions::default())
            .await
            .unwrap();
        let run = async |statements: String| store.maintain(move |c| run_sql(c, &statements)).await;
        run(sql(CALLING)).await.unwrap();
        run(format!("set role app; {query}; reset role")).await.unwrap();
        for secret in [
            "select * from credentials",
            "select * from api_keys",
            "select * from connections",
        ] {
            let refused = run(format!("set role app; {secret}")).await;
            assert!(refused.is_err(), "{secret}");
        }
        run("reset role; drop owned by app; drop role app".to_owned())
            .await
            .unwrap();
        store.close().await;
    });
}
