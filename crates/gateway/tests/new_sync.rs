//! A provider file that gets a new sync after connections exist.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use testkit::{TestApp, on_both_databases, registry_with};

/// A sync of another list than messages.
const NUMBERS: &str = "
  twilio-numbers:
    description: Numbers of the account
    model: Number
    table: twilio_numbers
    runs: every hour
    request: { path: \"/2010-04-01/Accounts/${connectionConfig.accountSid}/IncomingPhoneNumbers.json\" }
    records: incoming_phone_numbers
    paginate: { type: link, link_path_in_response_body: next_page_uri }
    key: sid
    columns: { sid: text, phone_number: text }
";

#[on_both_databases]
async fn a_sync_that_is_added_to_a_file_is_created_for_existing_connections(app: TestApp) {
    let name = app.connect_twilio().await;
    app.run_due().await;
    let file = include_str!("../../../integrations/twilio.yaml").replacen(
        "\nactions:",
        &format!("{NUMBERS}\nactions:"),
        1,
    );

    // The program starts again on the same database.
    let again = app.another_gateway(registry_with("twilio.yaml", &file)).await;

    let provider = Arc::clone(again.registry.get("twilio").unwrap());
    let due = app
        .store()
        .read(store::lease::next_due::<domain::Sync>)
        .await
        .unwrap();
    assert_eq!(provider.syncs.len(), 2);
    assert_eq!(
        due,
        Some(app.clock().now()),
        "the new sync of {name} is due at once"
    );
}
