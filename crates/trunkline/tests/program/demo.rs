//! The demo of the README.

use crate::process::Sandbox;

#[test]
fn the_demo_succeeds_once_every_message_is_synced() {
    let sandbox = Sandbox::new();
    let shown = sandbox.succeed(&["demo", "--once", "--messages", "2000"]);
    assert!(
        shown.contains("twilio_messages has 2,000 rows; the simulator has 2,000 messages"),
        "{shown}"
    );
    assert!(shown.contains("date_sent"), "{shown}");
    assert_eq!(
        std::fs::read_dir(sandbox.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}
